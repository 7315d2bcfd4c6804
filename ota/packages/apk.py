"""Facts of an APK: its binary manifest, its resources, and the names of its entries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from ota.core.platforms import Platform
from ota.core.versions import MAX_VERSION_CODE
from ota.errors import Rejected
from ota.packages import axml, frameworks, icons, signing
from ota.packages.archive import Archive
from ota.packages.axml import Element, Key
from ota.packages.chunks import Malformed, Value
from ota.packages.facts import MAX_LISTED, MAX_TEXT, PackageFacts, clean_text
from ota.packages.resources import ANY_DENSITY, Choice, Resources

_MAX_MANIFEST_BYTES = 8 * 1024**2
_MAX_RESOURCES_BYTES = 64 * 1024**2
_MAX_ICON_BYTES = 4 * 1024**2
_MAX_SDK = 10_000
_MAPPED_RESOURCES_FROM = 30
_PAGE = 4096

# Resource ids of attributes, from ``android.R.attr`` in the Android SDK.
_LABEL, _ICON, _NAME, _DEBUGGABLE, _DRAWABLE = 0x01010001, 0x01010002, 0x01010003, 0x0101000F, 0x01010199
_VERSION_CODE, _VERSION_NAME, _VERSION_CODE_MAJOR = 0x0101021B, 0x0101021C, 0x01010576
_MIN_SDK, _TARGET_SDK, _TEST_ONLY, _NEEDS_SPLITS = 0x0101020C, 0x01010270, 0x01010272, 0x01010591
_EXTRACTS_LIBRARIES = 0x010104EA

_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+")
_LIBRARY = re.compile(r"lib/([^/]+)/[^/]+\.so")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The root element, its application, and the table that resolves their references."""

    root: Element
    application: Element
    resources: Resources | None

    def text(self, element: Element, key: Key) -> str | None:
        """Return an attribute's text, following a reference. Raises `Malformed`."""
        value = element.attributes.get(key)
        if value is None or value.kind == Value.STRING:
            return clean_text(element.texts.get(key))
        if value.is_integer:
            return str(value.data)
        return clean_text(self.resources.text(value)) if self.resources else None

    def number(self, element: Element, key: Key) -> int | None:
        """Return an attribute's number or flag, from 0 to 2**32 - 1; None without the attribute.

        Raises `Malformed` if it is no number, or differs between devices, since Android would still interpret
        it.
        """
        value = element.attributes.get(key)
        if value is None or value.is_integer:
            return value.data if value else None
        if value.kind != Value.REFERENCE or self.resources is None:
            raise Malformed("a number is none")
        return self.resources.integer(value)


def read(archive: Archive) -> PackageFacts:
    """Read the facts of an APK and verify its signatures.

    Raises `Rejected` if the manifest can't be read or names no package, if phones would not install the APK,
    or if a signature does not hold.
    """
    manifest = _manifest(archive)
    package_id = _package_id(manifest)
    try:
        facts = _facts(archive, manifest, package_id)
    except Malformed as error:
        raise _unreadable(error) from error
    return frameworks.with_framework(archive, facts)


def _package_id(manifest: Manifest) -> str:
    package_id = manifest.root.texts.get("package", "")
    if len(package_id) > MAX_TEXT or not _PACKAGE.fullmatch(package_id):
        raise Rejected(
            "no_package_id",
            "The APK's manifest names no package that phones accept. Build it again with an application id "
            "such as com.example.app.",
        )
    return package_id


def _facts(archive: Archive, manifest: Manifest, package_id: str) -> PackageFacts:
    _check_installable(manifest)
    min_sdk, target_sdk = _sdks(manifest)
    _check_resources(archive, target_sdk)
    _check_libraries(archive, manifest)
    return PackageFacts(
        platform=Platform.ANDROID,
        package_id=package_id,
        version=manifest.text(manifest.root, _VERSION_NAME),
        version_code=_version_code(manifest),
        signature=signing.verify(archive, min_sdk=min_sdk, target_sdk=target_sdk),
        label=manifest.text(manifest.application, _LABEL),
        min_sdk=min_sdk,
        target_sdk=target_sdk,
        abis=_abis(archive.entries),
        permissions=_permissions(manifest),
        is_debuggable=bool(manifest.number(manifest.application, _DEBUGGABLE)),
        icon=_icon(archive, manifest),
    )


def _manifest(archive: Archive) -> Manifest:
    raw = archive.read("AndroidManifest.xml", _MAX_MANIFEST_BYTES)
    has_resources = "resources.arsc" in archive.entries
    table = archive.read("resources.arsc", _MAX_RESOURCES_BYTES) if has_resources else None
    try:
        root = axml.parse(raw)
        if root.name != "manifest":
            raise Malformed("its root is no manifest")
        applications = list(root.named("application")) or [Element("application")]
        if len(applications) > 1:
            raise Malformed("it describes more than one application")
        return Manifest(root, applications[0], Resources(table) if table else None)
    except Malformed as error:
        raise _unreadable(error) from error


def _unreadable(error: Malformed) -> Rejected:
    return Rejected(
        "unreadable_manifest",
        f"The APK's manifest or resources can't be read: {error}. Build the APK again and upload that.",
    )


def _check_installable(manifest: Manifest) -> None:
    if (
        "split" in manifest.root.attributes
        or manifest.number(manifest.root, _NEEDS_SPLITS)
        or manifest.number(manifest.application, _NEEDS_SPLITS)
    ):
        raise Rejected(
            "split_apks",
            "This APK is one of a set of splits and can't be installed alone. Build one universal APK and "
            "upload that.",
        )
    if manifest.number(manifest.application, _TEST_ONLY):
        raise Rejected(
            "test_only",
            "This build is marked testOnly, which phones refuse. Build it with assemble or flutter build, "
            "not from the IDE's Run button.",
        )


def _check_libraries(archive: Archive, manifest: Manifest) -> None:
    """Raise `Rejected` for libraries that phones can't map into memory from inside the APK.

    Libraries that are not extracted on installation have to be stored uncompressed, each from the start of a
    page.
    """
    if manifest.number(manifest.application, _EXTRACTS_LIBRARIES) != 0:
        return
    for name, entry in archive.entries.items():
        if _LIBRARY.fullmatch(name) and not (entry.is_stored and entry.data_offset % _PAGE == 0):
            raise Rejected(
                "packed_libraries",
                f"The manifest says extractNativeLibs=false, but {entry.shown} is compressed or not aligned, "
                "so phones refuse the build. "
                "Run zipalign -p 4 before signing, or let libraries be extracted.",
            )


def _check_resources(archive: Archive, target_sdk: int) -> None:
    """Raise `Rejected` for a table that Android 11 and later can't map into memory as it is in the file."""
    table = archive.entries.get("resources.arsc")
    if (
        table is not None
        and target_sdk >= _MAPPED_RESOURCES_FROM
        and not (table.is_stored and table.data_offset % 4 == 0)
    ):
        raise Rejected(
            "packed_resources",
            f"The build is made for API level {target_sdk}, but its resources.arsc is compressed or not "
            "aligned, so phones with Android 11 "
            "or newer refuse it. Run zipalign -p 4 before signing.",
        )


def _version_code(manifest: Manifest) -> int:
    minor = manifest.number(manifest.root, _VERSION_CODE)
    major = manifest.number(manifest.root, _VERSION_CODE_MAJOR) or 0
    if minor is None or (major << 32 | minor) > MAX_VERSION_CODE:
        # A version code sent with the upload is no substitute: phones use the one in the file.
        raise Rejected(
            "no_version_code",
            "The APK's manifest has no usable versionCode. Build it again with a whole number from 0 on.",
        )
    return major << 32 | minor


def _sdks(manifest: Manifest) -> tuple[int, int]:
    """Return the minimum and the target API level, 1 by default."""
    elements = list(manifest.root.named("uses-sdk"))
    minimum = _largest(manifest.number(element, _MIN_SDK) for element in elements)
    target = _largest(manifest.number(element, _TARGET_SDK) for element in elements)
    return min(minimum or 1, _MAX_SDK), min(target or minimum or 1, _MAX_SDK)


def _largest(numbers: Iterable[int | None]) -> int | None:
    return max((number for number in numbers if number is not None), default=None)


def _abis(names: Iterable[str]) -> tuple[str, ...]:
    found = {match[1] for name in names if (match := _LIBRARY.fullmatch(name))}
    return tuple(sorted(clean for abi in found if (clean := clean_text(abi, 40))))[:20]


def _permissions(manifest: Manifest) -> tuple[str, ...]:
    elements = [
        element
        for element in manifest.root.children
        if element.name in {"uses-permission", "uses-permission-sdk-23"}
    ]
    names = {name for element in elements if (name := manifest.text(element, _NAME))}
    return tuple(sorted(names))[:MAX_LISTED]


def _icon(archive: Archive, manifest: Manifest) -> bytes | None:
    value = manifest.application.attributes.get(_ICON)
    if value is None or manifest.resources is None:
        return None
    return _best_image(archive, manifest.resources, value, may_be_adaptive=True)


def _best_image(
    archive: Archive, resources: Resources, value: Value, *, may_be_adaptive: bool
) -> bytes | None:
    """Return the best image that a value stands for, re-encoded as PNG.

    Vector drawings are skipped. An adaptive icon is represented by its foreground.
    """
    choices = [choice for choice in resources.choices(value) if choice.value.kind == Value.STRING]
    for choice in sorted(choices, key=_rank, reverse=True):
        name = resources.string(choice.value)
        if name not in archive.entries or archive.entries[name].size > _MAX_ICON_BYTES:
            continue
        raw = archive.read(name, _MAX_ICON_BYTES)
        png = None
        if not name.endswith(".xml"):
            png = icons.png_of(raw)
        elif may_be_adaptive:
            png = _foreground(archive, resources, raw)
        if png is not None:
            return png
    return None


def _rank(choice: Choice) -> tuple[bool, int]:
    # Images come before drawings, which are for any density.
    is_picture = choice.density != ANY_DENSITY
    return is_picture, choice.density if is_picture else 0


def _foreground(archive: Archive, resources: Resources, raw: bytes) -> bytes | None:
    try:
        root = axml.parse(raw)
        values = [element.attributes.get(_DRAWABLE) for element in root.named("foreground")]
    except Malformed:
        return None
    if not values or values[0] is None:
        return None
    return _best_image(archive, resources, values[0], may_be_adaptive=False)
