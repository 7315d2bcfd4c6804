"""Builds for the tests: real archives with real manifests, made here, small unless asked otherwise."""

from __future__ import annotations

import io
import plistlib
import zipfile
from collections.abc import Sequence
from typing import Any

from tests.builders import arsc
from tests.builders.arsc import Resource
from tests.builders.axml import Element, encode
from tests.builders.signing import Signer, sign_v2, signer

STAMP = (2024, 1, 1, 0, 0, 0)


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


def apk(
    package: str | None = "com.example.app",
    version: str | None = "1.0.0",
    code: int | None = 1,
    *,
    content: bytes = b"content",
    by: Signer | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
    resources: Sequence[Resource] = (),
    files: dict[str, bytes] | None = None,
    **described: Any,
) -> bytes:
    """An APK, signed with scheme v2. Other ``content`` makes other bytes of the same version.

    ``files`` are more entries by name, ``resources`` its resource table, ``described`` goes to `manifest`.
    """
    entries = {"AndroidManifest.xml": manifest(package, version, code, **described), "assets/content.bin": content, **(files or {})}
    if resources:
        entries["resources.arsc"] = arsc.encode(list(resources))
    return sign_v2(archive(entries, compression), by or signer("Example"))


def ipa(bundle: str | None = "com.example.app", version: str | None = "1.0.0", build: str | None = "1", **more: Any) -> bytes:
    """An IPA with a binary property list, as Xcode makes it."""
    info = {"CFBundleIdentifier": bundle, "CFBundleShortVersionString": version, "CFBundleVersion": build, **more}
    plist = plistlib.dumps({key: value for key, value in info.items() if value is not None}, fmt=plistlib.FMT_BINARY)
    return archive({"Payload/": b"", "Payload/Example.app/Info.plist": plist, "Payload/Example.app/Example": b"\xcf\xfa\xed\xfe"})
