"""The framework that an APK was built with, recognized by the libraries that its builds always contain."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from ota.packages.archive import Archive
from ota.packages.facts import PackageFacts

_MAX_ENGINE_BYTES = 128 * 1024**2
# The version of the Dart virtual machine as it stands in Flutter's engine:
# 3.5.0 (stable) (Tue Jul 30 02:17:59 2024 -0700) on "android_arm64".
_DART = re.compile(
    rb'(\d{1,3}\.\d{1,3}\.\d{1,3}(?:-[0-9A-Za-z.]{1,30})?) \((?:stable|beta|dev|main)\) \([^)]{10,60}\) on "'
)
_OVERLAP = 128
_LIBRARIES = {
    "libflutter.so": "Flutter",
    "libreactnativejni.so": "React Native",
    "libreactnative.so": "React Native",
    "libhermes.so": "React Native",
    "libunity.so": "Unity",
    "libmonodroid.so": ".NET",
}


def with_framework(archive: Archive, facts: PackageFacts) -> PackageFacts:
    """Return the facts with ``framework`` and, for Flutter, the Dart version if the engine contains it."""
    framework = _framework(archive.entries)
    version = _dart_version(archive) if framework == "Flutter" else None
    return msgspec.structs.replace(facts, framework=framework, framework_version=version)


def _framework(names: Collection[str]) -> str:
    libraries = {name.rpartition("/")[2] for name in names if name.startswith("lib/")}
    return next((framework for library, framework in _LIBRARIES.items() if library in libraries), "native")


def _dart_version(archive: Archive) -> str | None:
    engines = [
        entry
        for name, entry in archive.entries.items()
        if name.startswith("lib/") and name.endswith("/libflutter.so")
    ]
    engine = min(engines, key=lambda entry: entry.size)
    if engine.size > _MAX_ENGINE_BYTES:
        return None
    previous = b""
    for piece in archive.chunks(engine):
        if found := _DART.search(previous + piece):
            return f"Dart {found[1].decode()}"
        previous = piece[-_OVERLAP:]
    return None
