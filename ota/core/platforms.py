"""The platforms that versions run on, and the ways of signing builds for them."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache


class Platform(StrEnum):
    """The system that a version runs on."""

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
        """The media type of a package. An IPA has no registered one, so it is served as plain bytes."""
        return (
            "application/vnd.android.package-archive"
            if self is Platform.ANDROID
            else "application/octet-stream"
        )


class Scheme(StrEnum):
    """The scheme that proved a build's signer. ``PROFILE``: an IPA, whose code only iOS verifies."""

    V1 = "v1"
    V2 = "v2"
    V3 = "v3"
    V31 = "v3.1"
    PROFILE = "profile"


class ProfileType(StrEnum):
    """The kind of the provisioning profile in an IPA."""

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
"""The Android release with each API level, as published by Google."""


def android_name(api_level: int) -> str:
    """Return the name of an API level for people, such as ``Android 7.0``."""
    if api_level < min(ANDROID_RELEASES):
        return "Android"
    return (
        f"Android {ANDROID_RELEASES[api_level]}"
        if api_level in ANDROID_RELEASES
        else f"Android with API level {api_level}"
    )


def android_release(api_level: int) -> str:
    """Return the name of an API level for developers, such as ``Android 7.0 (API 24)``."""
    return (
        f"Android {ANDROID_RELEASES[api_level]} (API {api_level})"
        if api_level in ANDROID_RELEASES
        else f"API {api_level}"
    )


@lru_cache(maxsize=1024)
def os_numbers(version: str | None) -> tuple[int, ...]:
    """Return an OS version such as ``17.2`` as numbers that can be compared. ``17`` equals ``17.0``.

    Parts that are not numbers count as 0.
    """
    numbers = [
        int(part) if part.isascii() and part.isdigit() else 0 for part in (version or "0")[:20].split(".")
    ]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def abi_names(text: str | None) -> frozenset[str]:
    """Return the ABIs of a stored device or version, which are joined by commas. None is no ABI."""
    return frozenset(text.split(",")) if text else frozenset()
