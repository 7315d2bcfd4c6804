"""Facts of a build: what it says about itself, and what was verified.

Texts are hostile input. They are shortened here and escaped wherever they are shown.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from ota.core.platforms import Platform, ProfileType, Scheme
from ota.core.signers import Signers

MAX_TEXT = 255
MAX_LISTED = 1000
"""Permissions, devices or extensions that are kept, at most."""


class Certificate(Struct, frozen=True, kw_only=True):
    """A signer's certificate.

    ``sha256`` is the digest of its DER bytes in lower-case hex; ``key`` is like ``RSA 2048``.
    """

    sha256: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    key: str

    @property
    def is_debug(self) -> bool:
        """Whether Android's tools made it for development.

        Each machine has its own, all under the same name.
        """
        return "CN=Android Debug" in self.subject


class Signature(Struct, frozen=True, kw_only=True):
    """The verified signature.

    ``signer`` identifies the signer: an APK certificate's SHA-256, the SHA-256 over the sorted fingerprints
    of several certificates (possible with schemes v1 and v2 only), or a team id on iOS. ``signers`` are the
    SHA-256 of all certificates. ``lineage`` are the signers whose builds this one can replace after a
    rotation, oldest first, itself last. ``schemes`` are all schemes found valid. ``ranges`` are the signers
    by API level, since older and newer phones look at different schemes.
    """

    scheme: Scheme
    signer: str
    signers: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()
    schemes: tuple[Scheme, ...] = ()
    certificate: Certificate | None = None
    ranges: Signers = ()


class Profile(Struct, frozen=True, kw_only=True):
    """An ``embedded.mobileprovision``. ``devices`` are UDIDs; ``entitlements`` map keys to values as text."""

    type: ProfileType
    name: str
    team_id: str
    team_name: str | None
    expires_at: datetime
    app_id: str | None
    devices: tuple[str, ...] = ()
    entitlements: dict[str, str] = {}


class Extension(Struct, frozen=True, kw_only=True):
    """An app extension in an IPA.

    ``point`` is its extension point, such as ``com.apple.widgetkit-extension``.
    """

    bundle_id: str
    name: str | None
    point: str | None


class BuildFacts(Struct, frozen=True, kw_only=True):
    """Facts read from the file, never from its name.

    ``version`` and ``version_code`` are None if the file has none in a usable form. ``min_sdk`` and
    ``target_sdk`` are Android API levels, ``minimum_os`` is an iOS version.
    """

    platform: Platform
    package_id: str
    version: str | None
    version_code: int | None
    signature: Signature
    label: str | None = None
    min_sdk: int | None = None
    target_sdk: int | None = None
    abis: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    is_debuggable: bool = False
    framework: str | None = None
    framework_version: str | None = None
    minimum_os: str | None = None
    device_families: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    profile: Profile | None = None


class PackageFacts(BuildFacts, frozen=True, kw_only=True):
    """The facts and the ``icon``, re-encoded as PNG."""

    icon: bytes | None = None


def clean_text(value: object, limit: int = MAX_TEXT) -> str | None:
    """Return a text without control characters, cut to ``limit`` characters; None if nothing is left."""
    if not isinstance(value, str):
        return None
    visible = "".join(character for character in value[: 4 * limit] if character.isprintable()).strip()
    return visible[:limit] or None
