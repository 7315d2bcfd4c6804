"""Facts from an APK's binary manifest.

Attributes are found by their resource id, as Android does it, since their names can be stripped. Source of the ids:
``android.R.attr`` in the Android SDK.
"""

from __future__ import annotations

import io
from typing import Any

from apkInspector.axml import ManifestStruct, XmlStartElement

from ota.core.platforms import Platform
from ota.core.versions import MAX_VERSION_CODE
from ota.errors import Rejected
from ota.packages.archive import Archive
from ota.packages.facts import PackageFacts, clean_text

MAX_MANIFEST_BYTES = 8 * 1024**2
_VERSION_CODE = 0x0101021B
_VERSION_NAME = 0x0101021C
_VERSION_CODE_MAJOR = 0x01010576
_TYPE_STRING = 0x03
_TYPE_INTEGERS = range(0x10, 0x20)


def read(archive: Archive) -> PackageFacts:
    """Raises `Rejected` when the manifest can't be read or names no package."""
    attributes = _manifest_attributes(archive.read("AndroidManifest.xml", MAX_MANIFEST_BYTES))
    package_id = clean_text(attributes.get("package"))
    if not package_id:
        raise Rejected("no_package_id", "The APK's manifest names no package. Build it again with an application id.")
    return PackageFacts(
        platform=Platform.ANDROID,
        package_id=package_id,
        version=clean_text(attributes.get(_VERSION_NAME)),
        version_code=_version_code(attributes),
    )


def _version_code(attributes: dict[Any, Any]) -> int | None:
    minor, major = attributes.get(_VERSION_CODE), attributes.get(_VERSION_CODE_MAJOR, 0)
    if not isinstance(minor, int) or not isinstance(major, int):
        return None
    code = (major << 32) | minor
    return code if code <= MAX_VERSION_CODE else None


def _manifest_attributes(raw: bytes) -> dict[Any, Any]:
    """Attributes of the root element, by resource id where they have one, else by name."""
    try:
        manifest = ManifestStruct.parse(io.BytesIO(raw))
        strings: list[str] = manifest.string_pool.string_list
        resource_ids: list[int] = manifest.resource_map.resids if manifest.resource_map else []
        root = next(element for element in manifest.elements if isinstance(element, XmlStartElement))
        found: dict[Any, Any] = {}
        for attribute in root.attributes:
            index = attribute.name_index
            key = resource_ids[index] if index < len(resource_ids) else strings[index]
            found.setdefault(key, _value(attribute, strings))
        return found
    except Exception as error:  # The library fails in many ways on hostile bytes; all of them mean the same here.
        raise Rejected(
            "unreadable_manifest", "The APK's AndroidManifest.xml can't be read. Build the APK again and upload that."
        ) from error


def _value(attribute: Any, strings: list[str]) -> str | int | None:
    kind, data = attribute.typed_value_datatype, attribute.typed_value_data
    if kind == _TYPE_STRING:
        return str(strings[data])
    return int(data) if kind in _TYPE_INTEGERS else None
