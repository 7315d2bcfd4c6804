"""Reading and checking a package of either kind in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ota.errors import Rejected
from ota.packages import apk, ipa
from ota.packages.archive import Archive, open_archive
from ota.packages.facts import PackageFacts


def read_here(path: Path) -> PackageFacts:
    """Read the facts of an APK or IPA and verify them. The file's own name plays no part.

    Raises `Rejected`, with an explanation for the uploader, if a phone would not install the file.
    """
    with open_archive(path) as archive:
        facts = _reader(archive)(archive)
        archive.check_contents()
    return facts


def _reader(archive: Archive) -> Callable[[Archive], PackageFacts]:
    names = archive.entries
    if "AndroidManifest.xml" in names:
        return apk.read
    if ipa.info_plist_name(names):
        return ipa.read
    if "base/manifest/AndroidManifest.xml" in names or "BundleConfig.pb" in names:
        raise Rejected(
            "app_bundle",
            "This is an Android App Bundle, which phones can't install. Build an APK (flutter build apk "
            "--release, "
            "or universal.apk out of what bundletool build-apks --mode=universal makes) and upload that.",
        )
    if any(name.endswith(".apk") for name in names):
        raise Rejected("split_apks", "This is a set of split APKs. Build one universal APK and upload that.")
    raise Rejected(
        "not_a_package",
        "This archive is neither an APK (no AndroidManifest.xml) nor an IPA (no "
        "Payload/<name>.app/Info.plist).",
    )
