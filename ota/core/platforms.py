"""The platforms that versions run on."""

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
