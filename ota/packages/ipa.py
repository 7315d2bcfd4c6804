"""Facts from an IPA's Info.plist."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterable
from typing import Any

from ota.core.platforms import Platform, Scheme
from ota.core.versions import MAX_VERSION_CODE
from ota.errors import Rejected
from ota.packages.archive import Archive
from ota.packages.facts import PackageFacts, Signature, clean_text

MAX_PLIST_BYTES = 4 * 1024**2
_INFO = re.compile(r"Payload/[^/]+\.app/Info\.plist")


def info_plist_name(names: Iterable[str]) -> str | None:
    """The entry that describes the app itself (not one of its extensions)."""
    return next((name for name in names if _INFO.fullmatch(name)), None)


def read(archive: Archive) -> PackageFacts:
    """Raises `Rejected` when the property list can't be read or names no bundle."""
    name = info_plist_name(archive.entries)
    assert name is not None
    info = _property_list(archive.read(name, MAX_PLIST_BYTES))
    package_id = clean_text(info.get("CFBundleIdentifier"))
    if not package_id:
        raise Rejected("no_package_id", "The IPA's Info.plist names no CFBundleIdentifier. Build it again with a bundle id.")
    build = clean_text(info.get("CFBundleVersion"))
    return PackageFacts(
        platform=Platform.IOS,
        signature=Signature(scheme=Scheme.PROFILE, signer="T"),
        package_id=package_id,
        version=clean_text(info.get("CFBundleShortVersionString")) or build,
        version_code=_whole_number(build),
    )


def _whole_number(build: str | None) -> int | None:
    if build is None or not re.fullmatch(r"[0-9]{1,19}", build):
        return None
    code = int(build)
    return code if code <= MAX_VERSION_CODE else None


def _property_list(raw: bytes) -> dict[str, Any]:
    try:
        info = plistlib.loads(raw)
        if not isinstance(info, dict):
            raise TypeError("not a dictionary")
        return info
    except Exception as error:  # plistlib fails in many ways on hostile bytes; all of them mean the same here.
        raise Rejected("unreadable_info_plist", "The IPA's Info.plist can't be read. Export the IPA again and upload that.") from error
