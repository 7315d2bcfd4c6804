"""The platforms that versions run on, and how builds for them are signed."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache


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
        return (
            "application/vnd.android.package-archive"
            if self is Platform.ANDROID
            else "application/octet-stream"
        )


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


ANDROID_RELEASES = {
    14: "4.0",
    15: "4.0.3",
    16: "4.1",
    17: "4.2",
    18: "4.3",
    19: "4.4",
    21: "5.0",
    22: "5.1",
    23: "6.0",
    24: "7.0",
    25: "7.1",
    26: "8.0",
    27: "8.1",
    28: "9",
    29: "10",
    30: "11",
    31: "12",
    32: "12L",
    33: "13",
    34: "14",
    35: "15",
    36: "16",
}
"""The name of the Android release with each API level, as its makers publish it."""


def android_name(api_level: int) -> str:
    """The version of Android that people know for an API level."""
    if api_level < min(ANDROID_RELEASES):
        return "Android"
    return (
        f"Android {ANDROID_RELEASES[api_level]}"
        if api_level in ANDROID_RELEASES
        else f"Android with API level {api_level}"
    )


def android_release(api_level: int) -> str:
    """The same with the level that developers know: ``Android 7.0 (API 24)``."""
    return (
        f"Android {ANDROID_RELEASES[api_level]} (API {api_level})"
        if api_level in ANDROID_RELEASES
        else f"API {api_level}"
    )


@lru_cache(maxsize=1024)
def os_numbers(version: str | None) -> tuple[int, ...]:
    """An OS version such as ``17.2`` in order, ``17`` being ``17.0``; what can't be read is 0."""
    numbers = [
        int(part) if part.isascii() and part.isdigit() else 0 for part in (version or "0")[:20].split(".")
    ]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def abi_names(text: str | None) -> frozenset[str]:
    """Return the ABIs of a stored device or version, which are joined by commas. None is no ABI."""
    return frozenset(text.split(",")) if text else frozenset()
