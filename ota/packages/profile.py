"""An IPA's ``embedded.mobileprovision``: the devices that can run the build, and until when.

The file is a CMS SignedData (RFC 5652) around a property list, whose keys are those of Apple's Technical Note
TN3125, "Inside Code Signing: Provisioning Profiles". Apple's signature is not verified here, since iOS
verifies it before it installs anything. The checks here are that the CMS is whole: one signer, a certificate,
and a signed digest that matches the content.
"""

from __future__ import annotations

import hashlib
import plistlib
import struct
import warnings
from datetime import UTC, datetime
from typing import Any

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ota.core.platforms import ProfileType
from ota.errors import Rejected
from ota.packages.facts import MAX_LISTED, Certificate, Profile, clean_text

MAX_PROFILE_BYTES = 4 * 1024**2
"""Apple's own limits keep profiles below 100 KiB."""
MAX_ENTITLEMENTS = 200
_MAX_ITEMS, _MAX_DEPTH = 20, 2
_REMEDY = (
    "Export it with an ad hoc or enterprise profile (Xcode: Product > Archive > Distribute App) "
    "and upload that."
)

_BINARY = b"bplist00"
_TRAILER = struct.Struct(">6xBBQQQ")
# Bytes per item by the kind of an object whose marker holds a count: data, ASCII, UTF-16, UTF-8, UID.
_ITEM_BYTES = {0x4: 1, 0x5: 1, 0x6: 2, 0x7: 1, 0x8: 1}
# References per item of containers: array, ordered set, set, dictionary.
_REFERENCES = {0xA: 1, 0xB: 1, 0xC: 1, 0xD: 2}


def read(raw: bytes, bundle_id: str) -> tuple[Profile, Certificate | None]:
    """Return the profile and the first certificate that can sign under it (None if that can't be read).

    Raises `Rejected` for a profile that can't be read, that is for the App Store, or for another bundle id,
    since iOS installs none of them. An expired profile is returned; publishing checks for that.
    """
    try:
        content = property_list(_payload(raw))
        profile = _profile(content)
    except Exception as error:  # asn1crypto raises many types for hostile bytes.
        raise Rejected(
            "unreadable_profile",
            "The IPA's provisioning profile (embedded.mobileprovision) can't be read. Export the IPA again.",
        ) from error
    if profile.type is ProfileType.STORE:
        raise Rejected(
            "store_profile",
            f"The IPA is signed for the App Store, so that it can't be installed over the air. {_REMEDY}",
        )
    if not _covers(profile.app_id or "", bundle_id):
        raise Rejected(
            "profile_mismatch",
            f"The IPA's provisioning profile is for {profile.app_id}, but the app is {bundle_id}, so that "
            "iPhones refuse it. "
            f"Sign the app again with a profile for {bundle_id}.",
        )
    certificates = content.get("DeveloperCertificates")
    first = certificates[0] if isinstance(certificates, list) and certificates else None
    return profile, _certificate(first) if isinstance(first, bytes) else None


def missing() -> Rejected:
    """Return the error for an IPA without a profile, such as one exported without signing."""
    return Rejected(
        "no_profile",
        "The IPA carries no provisioning profile (embedded.mobileprovision), so that iPhones refuse to "
        f"install it. {_REMEDY}",
    )


def property_list(raw: bytes) -> dict[str, Any]:
    """Return the dictionary in an XML or binary property list. Raises `ValueError` for anything else.

    Its values can be of any type and, in a binary list, contain each other or themselves. plistlib refuses
    entities.
    """
    try:
        if raw.startswith(_BINARY):
            _check_binary(raw)
        found = plistlib.loads(raw)
    except Exception as error:  # plistlib raises many types for hostile bytes.
        raise ValueError("no property list") from error
    if not isinstance(found, dict):
        raise ValueError("the property list is no dictionary")
    return found


def _check_binary(raw: bytes) -> None:
    """Raise `ValueError` if objects of a binary property list have to share bytes.

    Writers give each object its own bytes. Sharing lets a small file hold thousands of large objects and fill
    the memory. Source of the format: the comment at the start of CFBinaryPList.c in Apple's CoreFoundation.
    """
    offset_size, reference_size, count, _, table = _TRAILER.unpack(raw[-_TRAILER.size :])
    if count * offset_size > len(raw):
        raise ValueError("more objects than bytes")
    claimed = 0
    for index in range(count):
        start = table + index * offset_size
        at = int.from_bytes(raw[start : start + offset_size], "big")
        claimed += 1 + _object_size(raw, at, reference_size)
    if claimed > len(raw):
        raise ValueError("objects overlap")


def _object_size(raw: bytes, at: int, reference_size: int) -> int:
    """Return the bytes after the marker that an object claims."""
    kind, size = raw[at] >> 4, raw[at] & 0x0F
    if kind in {0x1, 0x2}:
        return 1 << size
    if kind != 0x8 and size == 0x0F:
        width = 1 << (raw[at + 1] & 0x03)
        size = int.from_bytes(raw[at + 2 : at + 2 + width], "big")
    return size * (_ITEM_BYTES.get(kind, 0) + _REFERENCES.get(kind, 0) * reference_size)


def _payload(raw: bytes) -> bytes:
    """Return the content of the CMS. Can raise any exception."""
    outer = cms.ContentInfo.load(raw, strict=True)
    if outer["content_type"].native != "signed_data":
        raise ValueError("not signed data")
    signed = outer["content"]
    enclosed = signed["encap_content_info"]
    payload = enclosed["content"].native
    if enclosed["content_type"].native != "data" or not isinstance(payload, bytes):
        raise ValueError("nothing is enclosed")
    if len(signed["signer_infos"]) != 1 or not len(signed["certificates"]):
        raise ValueError("not signed by one signer with a certificate")
    _check_digest(signed["signer_infos"][0], payload)
    return payload


def _check_digest(signer: Any, payload: bytes) -> None:
    if not signer["signature"].native:
        raise ValueError("no signature")
    algorithm = signer["digest_algorithm"]["algorithm"].native
    signed_digests = [
        attribute["values"].native
        for attribute in signer["signed_attrs"]
        if attribute["type"].native == "message_digest"
    ]
    # Without signed attributes the signature is over the payload itself, with no digest to compare.
    if len(signer["signed_attrs"]) and signed_digests != [[hashlib.new(algorithm, payload).digest()]]:
        raise ValueError("the content is not what was signed")


def _profile(content: dict[str, Any]) -> Profile:
    """Read a profile. Raises `KeyError`, `ValueError` or `TypeError` if a value is missing or invalid."""
    entitlements = content["Entitlements"]
    expires_at = content["ExpirationDate"]
    if not isinstance(entitlements, dict) or not isinstance(expires_at, datetime):
        raise TypeError("entitlements or end of another type")
    team_id = _first_text(content.get("TeamIdentifier")) or clean_text(
        entitlements.get("com.apple.developer.team-identifier")
    )
    app_id = clean_text(entitlements.get("application-identifier"))
    if not team_id or not app_id:
        raise ValueError("no team or app id")
    return Profile(
        type=_type(content, entitlements),
        name=clean_text(content.get("Name")) or clean_text(content.get("UUID")) or app_id,
        team_id=team_id,
        team_name=clean_text(content.get("TeamName")),
        expires_at=expires_at.replace(tzinfo=UTC),
        app_id=app_id,
        devices=_devices(content.get("ProvisionedDevices")),
        entitlements=_flat(entitlements),
    )


def _type(content: dict[str, Any], entitlements: dict[str, Any]) -> ProfileType:
    if content.get("ProvisionsAllDevices") is True:
        return ProfileType.ENTERPRISE
    if "ProvisionedDevices" not in content:
        return ProfileType.STORE
    return ProfileType.DEVELOPMENT if entitlements.get("get-task-allow") is True else ProfileType.AD_HOC


def _first_text(value: object) -> str | None:
    return clean_text(value[0]) if isinstance(value, list) and value else None


def _devices(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError("devices of another type")
    found: dict[str, None] = {}
    for each in value:
        if device := clean_text(each):
            found[device] = None
        if len(found) == MAX_LISTED:
            break
    return tuple(found)


def _covers(app_id: str, bundle_id: str) -> bool:
    """Return whether an app id is for a bundle id.

    An app id is a prefix (usually the team id), a dot, and a bundle id or a wildcard.
    """
    pattern = app_id.partition(".")[2]
    if pattern.endswith("*"):
        return bundle_id.startswith(pattern[:-1]) and len(bundle_id) >= len(pattern)
    return pattern == bundle_id


def _flat(entitlements: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in entitlements.items():
        if len(found) == MAX_ENTITLEMENTS:
            break
        if name := clean_text(key):
            found[name] = clean_text(_as_text(value, _MAX_DEPTH)) or ""
    return found


def _as_text(value: object, depth: int) -> str:
    """Return a value as text, limited in items and levels, since a hostile value can contain itself."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value) if abs(value) < 2**64 else "…"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list) and depth:
        return ", ".join(_as_text(each, depth - 1) for each in value[:_MAX_ITEMS])
    if isinstance(value, dict) and depth:
        pairs = list(value.items())[:_MAX_ITEMS]
        return ", ".join(f"{clean_text(key)}: {_as_text(each, depth - 1)}" for key, each in pairs)
    return "…"


def _certificate(der: bytes) -> Certificate | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keeps warnings about old, lax certificates out of the log.
            found = x509.load_der_x509_certificate(der)
            return Certificate(
                sha256=hashlib.sha256(der).hexdigest(),
                subject=clean_text(found.subject.rfc4514_string()) or "",
                issuer=clean_text(found.issuer.rfc4514_string()) or "",
                not_before=found.not_valid_before_utc,
                not_after=found.not_valid_after_utc,
                key=_key(found),
            )
    except Exception:  # Shown, never relied on. cryptography raises many types for hostile bytes.
        return None


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")
