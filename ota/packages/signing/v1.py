"""Scheme v1: an APK signed as a JAR file.

Sources: "JAR File Specification", section "Signed JAR File", and Android's ``apksig`` where phones differ
from it.
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
"""Bytes of a manifest or signature file: about 100 for each of at most 65,534 entries."""
_MAX_BLOCK = 1024**2
_THREADS = 2
_NUMBERS = {"2": Scheme.V2, "3": Scheme.V3}


@dataclass(frozen=True)
class _Manifest:
    """``META-INF/MANIFEST.MF``: its bytes, its main section, and the section of each listed entry."""

    raw: bytes
    main: Section
    listed: Mapping[str, Section]


@dataclass(frozen=True)
class _Signer:
    """A signer, and the names of the entries that its signature covers."""

    certificate: SigningCertificate
    entries: frozenset[str]


def is_present(archive: Archive) -> bool:
    """Return whether the APK has a manifest and a signature file of scheme v1."""
    return _MANIFEST in archive.entries and any(_signature_files(archive))


def read(archive: Archive, *, min_sdk: int, found: frozenset[Scheme]) -> tuple[SigningCertificate, ...]:
    """Return all signers in file order, after comparing every entry outside ``META-INF/`` with its digest.

    Raises `Rejected`, also if a signature file announces a scheme that isn't in ``found``.
    """
    if _MANIFEST not in archive.entries:
        raise bad("it has no v1 manifest")
    manifest = _manifest(archive)
    files = list(_signature_files(archive))
    if not 1 <= len(files) <= MAX_SIGNERS:
        raise bad(f"it has {len(files)} v1 signatures, and 1 to {MAX_SIGNERS} are allowed")
    signers = []
    for text_name, block_name in files:
        text, block = archive.read(text_name, _MAX_TEXT), archive.read(block_name, _MAX_BLOCK)
        certificate = signer_of(block, text, min_sdk)
        entries = _covered(sections(text), manifest, min_sdk, found)
        if entries is not None:
            signers.append(_Signer(certificate, entries))
    if not signers:
        raise bad("no v1 signature file of it counts")
    return _check_entries(archive, manifest.listed, signers, min_sdk)


def _manifest(archive: Archive) -> _Manifest:
    raw = archive.read(_MANIFEST, _MAX_TEXT)
    main, *rest = sections(raw) or [Section({}, b"")]
    return _Manifest(raw, main, _by_name(rest, archive))


def _signature_files(archive: Archive) -> Iterator[tuple[str, str]]:
    """Yield the names of each signature file and its block. Like Android, skip a block without a file."""
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
    parts: list[Section], manifest: _Manifest, min_sdk: int, found: frozenset[Scheme]
) -> frozenset[str] | None:
    """Return the entries that a signature file covers, or None for a file that Android ignores.

    Raises `Rejected` if the manifest does not match the file.
    """
    if not parts or "signature-version" not in parts[0].attributes:
        return None
    head, *rest = parts
    _check_not_stripped(head, found)
    by_signtool = "signtool" in head.attributes.get("created-by", "")
    whole = head.digests("-Digest" if by_signtool else "-Digest-Manifest", min_sdk)
    is_whole = whole is not None and matches(whole, manifest.raw)
    of_main = None if by_signtool else head.digests("-Digest-Manifest-Main-Attributes", min_sdk)
    if of_main is not None and not matches(of_main, manifest.main.raw):
        raise bad("its v1 manifest was changed")
    names: set[str] = set()
    for section in rest:
        if section.name is None or section.name in names:
            return None
        names.add(section.name)
        if is_whole:
            continue
        if section.name not in manifest.listed:
            return None
        _check_section(section, manifest.listed[section.name].raw, min_sdk, by_signtool=by_signtool)
    return frozenset(names)


def _check_section(section: Section, raw: bytes, min_sdk: int, *, by_signtool: bool) -> None:
    digests = section.digests("-Digest", min_sdk)
    # signtool, an old tool, leaves the second of two line ends behind a section out of the digest.
    if by_signtool and raw.endswith(b"\n\n"):
        raw = raw[:-1]
    if digests is None or not matches(digests, raw):
        raise bad("its v1 manifest was changed")


def _check_not_stripped(head: Section, found: frozenset[Scheme]) -> None:
    for number in head.attributes.get("x-android-apk-signed", "").split(","):
        scheme = _NUMBERS.get(number.strip())
        if scheme is not None and scheme not in found:
            raise stripped(scheme, "v1")


def _check_entries(
    archive: Archive, listed: Mapping[str, Section], signers: list[_Signer], min_sdk: int
) -> tuple[SigningCertificate, ...]:
    """Return the signers of every entry.

    Raises `Rejected` if their signers differ, or an entry has none or was changed.
    """
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
    with ThreadPoolExecutor(_THREADS) as threads:  # zlib and hashlib release the interpreter lock.
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
