"""Which kind of package a file is, and everything that is checked of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ota.errors import Rejected
from ota.packages import apk, ipa
from ota.packages.archive import Archive, opened
from ota.packages.facts import PackageFacts


def read_here(path: Path) -> PackageFacts:
    """Read what the file says about itself and prove what can be proved, in this process. The file's own name plays no part.

    Raises `Rejected` with a sentence for the uploader when it is not an APK or IPA that a phone would install.
    """
    with opened(path) as archive:
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
            "This is an Android App Bundle, which phones can't install. Build an APK (flutter build apk --release, "
            "or universal.apk out of what bundletool build-apks --mode=universal makes) and upload that.",
        )
    if any(name.endswith(".apk") for name in names):
        raise Rejected("split_apks", "This is a set of split APKs. Build one universal APK and upload that.")
    raise Rejected(
        "not_a_package",
        "This archive is neither an APK (no AndroidManifest.xml) nor an IPA (no Payload/<name>.app/Info.plist).",
    )
