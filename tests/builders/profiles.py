"""Provisioning profiles for the tests: property lists in CMS SignedData, signed with a test key instead of
Apple's.
"""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from ota.core.platforms import ProfileType
from tests.builders.signing import signer

TEAM = "TEAM123456"
DEVICES = ("00008030-001A35E11A88003A", "18cf53cddee60c52f9c97b1521e7cbf8342628da")
EXPIRES_AT = datetime(2035, 1, 1, tzinfo=UTC)
SIGNER = "Apple Distribution: Example"


def content(
    bundle: str = "com.example.app",
    kind: ProfileType = ProfileType.AD_HOC,
    *,
    team: str = TEAM,
    devices: Sequence[str] = DEVICES,
    expires_at: datetime = EXPIRES_AT,
    app_id: str | None = None,
    entitlements: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a profile's property list. ``more`` replaces keys of it, and None removes one."""
    found: dict[str, Any] = {
        "Name": f"Example {kind.value}",
        "UUID": "8be76b92-e15e-4551-b71a-97bdb130e365",
        "Version": 1,
        "Platform": ["iOS"],
        "TeamIdentifier": [team],
        "TeamName": "Example Ltd",
        "ApplicationIdentifierPrefix": [team],
        "CreationDate": datetime(2024, 1, 1),  # noqa: DTZ001
        "ExpirationDate": expires_at.astimezone(UTC).replace(tzinfo=None),
        "DeveloperCertificates": [signer(SIGNER).certificate],
        "Entitlements": {
            "application-identifier": app_id or f"{team}.{bundle}",
            "com.apple.developer.team-identifier": team,
            "get-task-allow": kind is ProfileType.DEVELOPMENT,
            **(entitlements or {}),
        },
    }
    if kind is ProfileType.ENTERPRISE:
        found["ProvisionsAllDevices"] = True
    elif kind is not ProfileType.STORE:
        found["ProvisionedDevices"] = list(devices)
    return {key: value for key, value in {**found, **more}.items() if value is not None}


def signed(data: bytes) -> bytes:
    """Return the bytes in a CMS SignedData, as Apple wraps profiles."""
    by = signer("Apple iPhone OS Provisioning Profile Signing")
    certificate = x509.load_der_x509_certificate(by.certificate)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data).add_signer(certificate, by.key, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def profile(bundle: str = "com.example.app", kind: ProfileType = ProfileType.AD_HOC, **more: Any) -> bytes:
    """Return an ``embedded.mobileprovision``. The keywords are those of `content`."""
    return signed(plistlib.dumps(content(bundle, kind, **more)))


@cache
def usual(bundle: str) -> bytes:
    """Return the ad hoc profile of a bundle, the same bytes for the same bundle within a run."""
    return profile(bundle)
