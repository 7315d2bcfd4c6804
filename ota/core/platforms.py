"""The platforms that versions run on, and how builds for them are signed."""

from __future__ import annotations

from enum import StrEnum


class Platform(StrEnum):
    """Where a version runs."""

    ANDROID = "android"
    IOS = "ios"

    @property
    def label(self) -> str:
        return "Android" if self is Platform.ANDROID else "iOS"

    @property
    def file_suffix(self) -> str:
        return ".apk" if self is Platform.ANDROID else ".ipa"

    @property
    def media_type(self) -> str:
        """The registered media type of an APK; iOS has none, and phones fetch IPAs as plain bytes."""
        return "application/vnd.android.package-archive" if self is Platform.ANDROID else "application/octet-stream"


class Scheme(StrEnum):
    """How the bytes of a build were proved to be its signer's. ``PROFILE``: an IPA, which iOS verifies, not this server."""

    V1 = "v1"
    V2 = "v2"
    V3 = "v3"
    V31 = "v3.1"
    PROFILE = "profile"


class ProfileType(StrEnum):
    """What an embedded provisioning profile allows."""

    DEVELOPMENT = "development"
    AD_HOC = "ad-hoc"
    ENTERPRISE = "enterprise"
    STORE = "store"
