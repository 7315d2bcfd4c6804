"""Scheme v1: an APK signed as a JAR file.

Sources: "JAR File Specification", section "Signed JAR File"; where phones differ from it, Android's ``apksig``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ota.core.platforms import Scheme
from ota.packages.archive import Archive
from ota.packages.directory import Entry
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.manifests import Section, matches, sections
from ota.packages.signing.pkcs7 import signer_of
from ota.packages.signing.refusals import bad, stripped
from ota.packages.signing.signers import MAX_SIGNERS

_FOLDER = "META-INF/"
_MANIFEST = "META-INF/MANIFEST.MF"
_BLOCKS = (".RSA", ".DSA", ".EC")
_MAX_TEXT = 32 * 1024**2
"""Of a manifest or signature file: about 100 bytes for each entry, of which there are at most 65,534."""
_MAX_BLOCK = 1024**2
_THREADS = 2
_NUMBERS = {"2": Scheme.V2, "3": Scheme.V3}


@dataclass(frozen=True)
class _Signer:
    certificate: SigningCertificate
    entries: frozenset[str]


def is_present(archive: Archive) -> bool:
    """Is there anything of scheme v1?"""
    return _MANIFEST in archive.entries and any(_signature_files(archive))


def read(archive: Archive, *, min_sdk: int, found: frozenset[Scheme]) -> tuple[SigningCertificate, ...]:
    """Everybody who signed, in the order of the file, with every entry outside ``META-INF/`` compared with its digest.

    Raises `Rejected`, also when a signature file says that the APK was signed with a scheme that isn't in ``found``.
    """
    if _MANIFEST not in archive.entries:
        raise bad("it has no v1 manifest")
    manifest = archive.read(_MANIFEST, _MAX_TEXT)
    main, *rest = sections(manifest) or [Section({}, b"")]
    listed = _by_name(rest, archive)
    files = list(_signature_files(archive))
    if not 1 <= len(files) <= MAX_SIGNERS:
        raise bad(f"it has {len(files)} v1 signatures, and 1 to {MAX_SIGNERS} are allowed")
    signers = []
    for text_name, block_name in files:
        text, block = archive.read(text_name, _MAX_TEXT), archive.read(block_name, _MAX_BLOCK)
        certificate = signer_of(block, text, min_sdk)
        entries = _covered(sections(text), manifest, main, listed, min_sdk, found)
        if entries is not None:
            signers.append(_Signer(certificate, entries))
    if not signers:
        raise bad("no v1 signature file of it counts")
    return _check_entries(archive, listed, signers, min_sdk)


def _signature_files(archive: Archive) -> Iterator[tuple[str, str]]:
    """Each signature file with its block. A block without a file is nobody's: Android skips it."""
    for name in archive.entries:
        if name.startswith(_FOLDER) and name.endswith(_BLOCKS):
            text_name = name[: name.rindex(".")] + ".SF"
            if text_name in archive.entries:
                yield text_name, name


def _by_name(rest: list[Section], archive: Archive) -> dict[str, Section]:
    found: dict[str, Section] = {}
    for section in rest:
        if section.name is None or section.name in found:
            raise bad("its v1 manifest has a section without a name, or two with the same")
        if section.name not in archive.entries:
            raise bad("its v1 manifest lists a file that isn't in the APK")
        found[section.name] = section
    return found


def _covered(
    parts: list[Section],
    manifest: bytes,
    main: Section,
    listed: Mapping[str, Section],
    min_sdk: int,
    found: frozenset[Scheme],
) -> frozenset[str] | None:
    """The entries that a signature file vouches for; None for a file that Android ignores. Raises `Rejected`."""
    if not parts or "signature-version" not in parts[0].attributes:
        return None
    head, *rest = parts
    _check_not_stripped(head, found)
    by_signtool = "signtool" in head.attributes.get("created-by", "")
    whole = head.digests("-Digest" if by_signtool else "-Digest-Manifest", min_sdk)
    is_whole = whole is not None and matches(whole, manifest)
    of_main = None if by_signtool else head.digests("-Digest-Manifest-Main-Attributes", min_sdk)
    if of_main is not None and not matches(of_main, main.raw):
        raise bad("its v1 manifest was changed")
    names: set[str] = set()
    for section in rest:
        if section.name is None or section.name in names:
            return None
        names.add(section.name)
        if is_whole:
            continue
        target = listed.get(section.name)
        if target is None:
            return None
        digests = section.digests("-Digest", min_sdk)
        # An old tool leaves out the second of two line ends behind a section.
        raw = target.raw[:-1] if by_signtool and target.raw.endswith(b"\n\n") else target.raw
        if digests is None or not matches(digests, raw):
            raise bad("its v1 manifest was changed")
    return frozenset(names)


def _check_not_stripped(head: Section, found: frozenset[Scheme]) -> None:
    for number in head.attributes.get("x-android-apk-signed", "").split(","):
        scheme = _NUMBERS.get(number.strip())
        if scheme is not None and scheme not in found:
            raise stripped(scheme, "v1")


def _check_entries(
    archive: Archive, listed: Mapping[str, Section], signers: list[_Signer], min_sdk: int
) -> tuple[SigningCertificate, ...]:
    """Those who signed every entry. Raises `Rejected` when entries have different signers, none, or another content."""
    entries = [
        entry
        for name, entry in archive.entries.items()
        if not name.startswith(_FOLDER) and not entry.is_folder
    ]
    groups = {
        tuple(signer.certificate for signer in signers if entry.name in signer.entries) for entry in entries
    }
    if len(groups) != 1 or () in groups:
        raise bad("some of its files are not covered by the v1 signature, or not by every signer")
    with ThreadPoolExecutor(_THREADS) as threads:  # Inflating and hashing let other threads run meanwhile.
        list(threads.map(partial(_check_entry, archive, listed, min_sdk), entries))
    return groups.pop()


def _check_entry(archive: Archive, listed: Mapping[str, Section], min_sdk: int, entry: Entry) -> None:
    section = listed.get(entry.name)
    expected = None if section is None else section.digests("-Digest", min_sdk)
    if expected is None:
        raise bad(f"its file {entry.shown} has no digest in the v1 manifest that every phone knows")
    running = [(hashlib.new(name, usedforsecurity=False), value) for name, value in expected]
    for piece in archive.chunks(entry):
        for digest, _ in running:
            digest.update(piece)
    if any(digest.digest() != value for digest, value in running):
        raise bad(f"its file {entry.shown} was changed after the v1 signature")
