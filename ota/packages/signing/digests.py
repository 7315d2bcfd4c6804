"""Digests over the whole file except its signing block.

They cover the entries, the directory and the end record, the latter as if the directory started at the
signing block. The fs-verity digest is the root of a tree over the same bytes, in pages of 4 KiB salted with
eight zero bytes. Source: "APK Signature Scheme v2", section "Integrity-protected contents", Android Open
Source Project documentation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Set
from concurrent.futures import ThreadPoolExecutor

from ota.packages.archive import Archive
from ota.packages.signing.algorithms import Content
from ota.packages.signing.blocks import SigningBlock
from ota.packages.signing.refusals import bad

_CHUNK = 1024 * 1024
_PAGE = 4096
_SALT = bytes(8)
_THREADS = 2
_CHUNKED = {Content.CHUNKED_SHA256: "sha256", Content.CHUNKED_SHA512: "sha512"}


def content_digests(archive: Archive, block: SigningBlock, wanted: Set[Content]) -> dict[Content, bytes]:
    """Return the wanted digests, from one pass over the file. Memory stays at a few MiB, whatever its size.

    Raises `Rejected` if fs-verity is wanted and the signing block doesn't fill whole pages.
    """
    if Content.VERITY_SHA256 in wanted and (block.start % _PAGE or block.stop % _PAGE):
        raise bad("its signing block is not aligned as fs-verity needs it")

    def of_chunk(offset: int) -> dict[Content, bytes]:
        return _digests(archive.raw(offset, min(_CHUNK, block.start - offset)), wanted)

    directory = archive.raw(block.stop, archive.end.offset - block.stop)
    end = archive.raw(archive.end.offset, archive.size - archive.end.offset)
    end = end[:16] + block.start.to_bytes(4, "little") + end[20:]
    with ThreadPoolExecutor(_THREADS) as threads:  # hashlib releases the interpreter lock.
        parts = list(threads.map(of_chunk, range(0, block.start, _CHUNK)))
    found = {
        kind: _chunked(name, [part[kind] for part in parts], (directory, end))
        for kind, name in _CHUNKED.items()
        if kind in wanted
    }
    if Content.VERITY_SHA256 in wanted:
        leaves = b"".join(part[Content.VERITY_SHA256] for part in parts) + _pages(directory + end)
        size = block.start + len(directory) + len(end)
        found[Content.VERITY_SHA256] = _root(leaves) + size.to_bytes(8, "little")
    return found


def _digests(data: bytes, wanted: Set[Content]) -> dict[Content, bytes]:
    found = {kind: _chunk(name, data) for kind, name in _CHUNKED.items() if kind in wanted}
    if Content.VERITY_SHA256 in wanted:
        found[Content.VERITY_SHA256] = _pages(data)
    return found


def _chunked(name: str, entries: list[bytes], sections: Iterable[bytes]) -> bytes:
    """Return the digest over the chunk digests of the entries and of the sections behind them."""
    chunks = entries + [
        _chunk(name, section[at : at + _CHUNK])
        for section in sections
        for at in range(0, len(section), _CHUNK)
    ]
    return hashlib.new(name, b"\x5a" + len(chunks).to_bytes(4, "little") + b"".join(chunks)).digest()


def _chunk(name: str, data: bytes) -> bytes:
    digest = hashlib.new(name, b"\xa5" + len(data).to_bytes(4, "little"))
    digest.update(data)
    return digest.digest()


def _pages(data: bytes) -> bytes:
    """Return the concatenated digests of all pages. The last page is padded with zeros."""
    padded = memoryview(data + bytes(-len(data) % _PAGE))
    found = bytearray()
    salted = hashlib.sha256(_SALT)
    for at in range(0, len(padded), _PAGE):
        digest = salted.copy()
        digest.update(padded[at : at + _PAGE])
        found += digest.digest()
    return bytes(found)


def _root(leaves: bytes) -> bytes:
    while len(leaves) > _PAGE:
        leaves = _pages(leaves)
    return _pages(leaves)
