"""Builds for the tests: real archives with real manifests, made here, small unless asked otherwise."""

from __future__ import annotations

import io
import plistlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from tests.builders import arsc
from tests.builders.arsc import Resource
from tests.builders.axml import Element, encode
from tests.builders.profiles import usual
from tests.builders.signing import Signer, sign_v2, signer

STAMP = (2024, 1, 1, 0, 0, 0)
USUAL = b"the usual profile of the bundle"


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP with these entries; the same bytes for the same entries."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, STAMP)
            info.compress_type = compression
            if name == "resources.arsc":  # As zipalign leaves it: stored, on a boundary of four bytes.
                info.compress_type = zipfile.ZIP_STORED
                info.extra = b"\0" * (-(target.tell() + 30 + len(name)) % 4)
            file.writestr(info, data)
    return target.getvalue()


def manifest(
    package: str | None = "com.example.app",
    version: str | int | None = "1.0.0",
    code: int | None = 1,
    *,
    min_sdk: int = 24,
    target_sdk: int = 34,
    permissions: Sequence[str] = (),
    application: dict[str, Any] | None = None,
    **more: Any,
) -> bytes:
    """A binary AndroidManifest.xml. A version code above 32 bits is split as Android does it.

    ``application`` adds attributes to that element, ``more`` to the root.
    """
    attributes: dict[str, Any] = {} if package is None else {"package": package}
    if code is not None:
        attributes["versionCode"] = code & 0xFFFFFFFF
        if code >> 32:
            attributes["versionCodeMajor"] = code >> 32
    if version is not None:
        attributes["versionName"] = version
    sdk = Element("uses-sdk", {"minSdkVersion": min_sdk, "targetSdkVersion": target_sdk})
    asked = [Element("uses-permission", {"name": name}) for name in permissions]
    described = Element("application", {"label": "Example", "hasCode": False, **(application or {})})
    return encode(Element("manifest", {**attributes, **more}, [sdk, *asked, described]))


def apk(*args: Any, by: Signer | None = None, compression: int = zipfile.ZIP_DEFLATED, **more: Any) -> bytes:
    """An APK, signed with scheme v2; the other arguments are those of `apk_entries`."""
    return sign_v2(archive(apk_entries(*args, **more), compression), by or signer("Example"))


def apk_entries(
    package: str | None = "com.example.app",
    version: str | int | None = "1.0.0",
    code: int | None = 1,
    *,
    content: bytes = b"content",
    resources: Sequence[Resource] = (),
    files: dict[str, bytes] | None = None,
    **described: Any,
) -> dict[str, bytes]:
    """What is in an APK, by name. Other ``content`` makes other bytes of the same version.

    ``files`` are more entries by name, ``resources`` its resource table, ``described`` goes to `manifest`.
    """
    entries = {
        "AndroidManifest.xml": manifest(package, version, code, **described),
        "assets/content.bin": content,
        **(files or {}),
    }
    if resources:
        entries["resources.arsc"] = arsc.encode(list(resources))
    return entries


FRAMEWORK_FILES = {
    "Flutter": (
        "Frameworks/Flutter.framework/Flutter",
        "Frameworks/App.framework/flutter_assets/AssetManifest.bin",
    ),
    "React Native": ("main.jsbundle",),
    "Unity": ("Frameworks/UnityFramework.framework/UnityFramework",),
}


def ipa(
    bundle: str | None = "com.example.app",
    version: str | None = "1.0.0",
    build: str | None = "1",
    *,
    profile: bytes | None = USUAL,
    files: Mapping[str, bytes] = {},
    extensions: Mapping[str, Mapping[str, Any]] = {},
    families: Sequence[int] = (1, 2),
    framework: str | None = None,
    beside: Mapping[str, bytes] = {},
    **more: Any,
) -> bytes:
    """An IPA with a binary property list, as Xcode makes it, and an ad hoc profile for its bundle (None for no profile).

    ``files`` lie in the app's folder, such as icons; ``beside`` at the root of the archive. ``extensions`` are Info.plists by
    folder, such as ``PlugIns/Widget.appex``. ``more`` goes into Info.plist.
    """
    info = {
        "CFBundleIdentifier": bundle,
        "CFBundleShortVersionString": version,
        "CFBundleVersion": build,
        "CFBundleName": "Example",
        "MinimumOSVersion": "15.0",
        "UIDeviceFamily": list(families),
        **more,
    }
    inside = {"Info.plist": property_list(info), "Example": b"\xcf\xfa\xed\xfe"}
    if profile is not None:
        inside["embedded.mobileprovision"] = (
            usual(bundle or "com.example.app") if profile is USUAL else profile
        )
    inside |= {f"{folder}/Info.plist": property_list(extension) for folder, extension in extensions.items()}
    inside |= dict.fromkeys(FRAMEWORK_FILES.get(framework or "", ()), b"")
    inside |= files
    return archive(
        {"Payload/": b"", **{f"Payload/Example.app/{name}": data for name, data in inside.items()}, **beside}
    )


def property_list(info: Mapping[str, Any]) -> bytes:
    """Binary, as Xcode makes it. A value None takes its key away."""
    return plistlib.dumps(
        {key: value for key, value in info.items() if value is not None}, fmt=plistlib.FMT_BINARY
    )
