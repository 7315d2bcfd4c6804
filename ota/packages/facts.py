"""What a build says about itself, and what was proved about it. Texts are hostile: shortened here, escaped where shown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from ota.core.platforms import Platform, ProfileType, Scheme
from ota.core.signers import Signers

MAX_TEXT = 255
MAX_LISTED = 1000
"""So many permissions, devices, extensions are kept at most."""


class Certificate(Struct, frozen=True, kw_only=True):
    """A signer's certificate. ``sha256`` is that of its DER bytes, lower-case hex; ``key`` reads like ``RSA 2048``."""

    sha256: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    key: str

    @property
    def is_debug(self) -> bool:
        """Made by Android's tools for development: everybody's machine has one, all with the same name."""
        return "CN=Android Debug" in self.subject


class Signature(Struct, frozen=True, kw_only=True):
    """Who signed, as verified. ``signer`` identifies the signer: an APK certificate's SHA-256, that over the sorted
    fingerprints of several (only schemes v1 and v2 allow it), or a team id on iOS.

    ``signers`` are the SHA-256 of all certificates. ``lineage`` are the signers that
    this one may follow after a rotation, oldest first, itself last; ``schemes`` everything that was found valid. ``ranges``: phones
    of different ages look at different schemes, whose signers may differ.
    """

    scheme: Scheme
    signer: str
    signers: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()
    schemes: tuple[Scheme, ...] = ()
    certificate: Certificate | None = None
    ranges: Signers = ()


class Profile(Struct, frozen=True, kw_only=True):
    """An ``embedded.mobileprovision``. ``devices`` are UDIDs; ``entitlements`` its keys with their values as text."""

    type: ProfileType
    name: str
    team_id: str
    team_name: str | None
    expires_at: datetime
    app_id: str | None
    devices: tuple[str, ...] = ()
    entitlements: dict[str, str] = {}


class Extension(Struct, frozen=True, kw_only=True):
    """An app extension inside an IPA. ``point`` is where it plugs in, such as ``com.apple.widgetkit-extension``."""

    bundle_id: str
    name: str | None
    point: str | None


class BuildFacts(Struct, frozen=True, kw_only=True):
    """Read from the file, never from its name.

    ``version`` and ``version_code`` are None where the file does not say them in a form that can be used. ``min_sdk`` and
    ``target_sdk`` are Android API levels, ``minimum_os`` an iOS version.
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
    """All of it, with the ``icon`` as a PNG made by us."""

    icon: bytes | None = None


def clean_text(value: object, limit: int = MAX_TEXT) -> str | None:
    """A text from a package without control characters, at most ``limit`` long; None when nothing is left."""
    if not isinstance(value, str):
        return None
    visible = "".join(character for character in value[: 4 * limit] if character.isprintable()).strip()
    return visible[:limit] or None
