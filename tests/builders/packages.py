"""Builds for the tests: real archives with real manifests, small by default."""

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
"""Stands for the profile that `usual` makes, as a default argument."""


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP archive with these entries, the same bytes for the same entries."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, STAMP)
            info.compress_type = compression
            if name == "resources.arsc":  # Stored and aligned to four bytes, as by zipalign.
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
    """Return a binary AndroidManifest.xml. A version code above 32 bits is split as on Android.

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
    """Return an APK signed with scheme v2. The other arguments are those of `apk_entries`."""
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
    """Return the entries of an APK by name. Different ``content`` makes a different file of the same version.

    ``files`` are more entries by name, ``resources`` the resource table; ``described`` is passed to
    `manifest`.
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
    """Return an IPA with a binary property list, as from Xcode, and by default an ad hoc profile for its
    bundle.

    ``files`` are put into the app's folder, ``beside`` at the root of the archive. ``extensions`` are
    Info.plists by folder, such as ``PlugIns/Widget.appex``. ``more`` is added to Info.plist. A ``profile`` of
    None leaves it out.
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
    if profile is USUAL:
        profile = usual(bundle or "com.example.app")
    if profile is not None:
        inside["embedded.mobileprovision"] = profile
    inside |= {f"{folder}/Info.plist": property_list(extension) for folder, extension in extensions.items()}
    inside |= dict.fromkeys(FRAMEWORK_FILES.get(framework or "", ()), b"")
    inside |= files
    app = {f"Payload/Example.app/{name}": data for name, data in inside.items()}
    return archive({"Payload/": b"", **app, **beside})


def property_list(info: Mapping[str, Any]) -> bytes:
    """Return a binary property list, as Xcode writes it, without the keys whose value is None."""
    return plistlib.dumps(
        {key: value for key, value in info.items() if value is not None}, fmt=plistlib.FMT_BINARY
    )
