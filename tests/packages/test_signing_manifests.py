"""The text files of scheme v1 are read as Android's tools read them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from ota.errors import Rejected
from ota.packages.signing.manifests import sections


def digest(name: str, data: bytes = b"data") -> tuple[str, str]:
    return name, base64.b64encode(hashlib.new(name, data).digest()).decode()


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_all_line_ends_count(end: bytes) -> None:
    data = end.join([b"Manifest-Version: 1.0", b"", b"Name: a", b" b", b"X: y", b"", b"Name: c", b"", b""])
    found = sections(data)
    assert [each.name for each in found] == [None, "ab", "c"]
    assert b"".join(each.raw for each in found) == data


def test_a_section_has_one_empty_line_of_those_behind_it() -> None:
    found = sections(b"\n\nA: 1\n\n\n\nName: b\n\n\n")
    assert [each.raw for each in found] == [b"A: 1\n\n", b"Name: b\n\n"]


def test_the_last_section_may_stop_anywhere() -> None:
    assert [each.raw for each in sections(b"A: 1\n\nName: b")] == [b"A: 1\n\n", b"Name: b"]
    assert sections(b"") == []


def test_the_first_of_two_attributes_counts_and_capitals_do_not() -> None:
    (found,) = sections(b"NAME: a\nname: b\n")
    assert found.name == "a"


def test_a_manifest_of_nothing_but_continuations_is_read_in_linear_time() -> None:
    (found,) = sections(b"Name: a\n" + b" b\n" * 300_000)
    assert found.name is not None
    assert len(found.name) == 300_001


def test_new_phones_take_the_strongest_digest_and_old_ones_the_first_of_a_list() -> None:
    text = f"Name: a\nSHA1-Digest: {digest('sha1')[1]}\nSHA-256-Digest: {digest('sha256')[1]}\n"
    (found,) = sections(text.encode())
    assert {name for name, _ in found.digests("-Digest", 18) or ()} == {"sha256"}
    assert {name for name, _ in found.digests("-Digest", 9) or ()} == {"sha1", "sha256"}
    (listed,) = sections(b"Digest-Algorithms: SHA-256 SHA1\n" + text.encode())
    assert {name for name, _ in listed.digests("-Digest", 9) or ()} == {"sha256"}


def test_without_a_digest_that_old_phones_know_there_is_none() -> None:
    (found,) = sections(f"Name: a\nSHA-256-Digest: {digest('sha256')[1]}\n".encode())
    assert found.digests("-Digest", 17) is None
    assert found.digests("-Digest-Manifest", 24) is None


def test_md5_counts_only_where_old_phones_are_told_to_look_for_it() -> None:
    (found,) = sections(f"Digest-Algorithms: MD5\nMD5-Digest: {digest('md5')[1]}\n".encode())
    assert {name for name, _ in found.digests("-Digest", 9) or ()} == {"md5"}
    assert found.digests("-Digest", 18) is None


def test_a_digest_that_is_no_base64_is_a_rejection() -> None:
    (found,) = sections(b"SHA-256-Digest: !!!\n")
    with pytest.raises(Rejected) as refusal:
        found.digests("-Digest", 24)
    assert refusal.value.code == "bad_signature"
