"""Packages are read in a child process, whose failures do no harm to the worker."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from ota.errors import Rejected
from ota.packages import child, read_here, read_package
from tests.builders import hostile
from tests.builders.packages import apk
from tests.packages.given import build_file

PATIENCE = 120
"""Time limit in seconds where it must not be reached, however slow the machine is."""


@pytest.fixture
def tricks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the child by one that does what the file's content names."""
    monkeypatch.setattr(child, "_COMMAND", ("-m", "tests.packages.tricks"))
    monkeypatch.setattr(child, "_SECONDS", PATIENCE)


def rejection_code(path: Path) -> str:
    with pytest.raises(Rejected) as refusal:
        read_package(path)
    return refusal.value.code


def test_the_child_reads_the_same_facts_as_this_process(tmp_path: Path) -> None:
    path = build_file(tmp_path, apk())
    assert read_package(path) == read_here(path)


def test_the_child_passes_a_rejection_on(tmp_path: Path) -> None:
    assert rejection_code(build_file(tmp_path, b"no archive")) == "not_a_package"


@pytest.mark.parametrize(("make", "code"), hostile.FILES.values(), ids=hostile.FILES.keys())
def test_a_hostile_file_is_refused_with_a_reason(tmp_path: Path, make: Any, code: str) -> None:
    assert rejection_code(build_file(tmp_path, make())) == code


@pytest.mark.usefixtures("tricks")
@pytest.mark.parametrize("trick", [b"sleep", b"spin"])
def test_a_child_that_takes_too_long_ends_in_a_rejection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: bytes
) -> None:
    monkeypatch.setattr(child, "_SECONDS", 2)
    assert rejection_code(build_file(tmp_path, trick)) == "too_slow"


@pytest.mark.usefixtures("tricks")
@pytest.mark.parametrize(
    ("trick", "code"),
    [
        (b"eat", "too_much_memory"),
        (b"die", "reader_died"),
        (b"flood", "reader_died"),
        (b"stammer", "reader_died"),
        (b"fail", "reader_failed"),
    ],
)
def test_a_child_that_misbehaves_ends_in_a_rejection(tmp_path: Path, trick: bytes, code: str) -> None:
    assert rejection_code(build_file(tmp_path, trick)) == code


@pytest.mark.usefixtures("tricks")
def test_a_disk_that_fails_is_not_the_files_fault(tmp_path: Path) -> None:
    with pytest.raises(OSError) as failure:
        read_package(build_file(tmp_path, b"disk"))
    assert failure.value.errno == errno.EIO


@pytest.mark.usefixtures("tricks")
def test_the_child_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTA_SECRET_KEY", "s" * 64)
    assert rejection_code(build_file(tmp_path, b"spy")) == "no_secret"


@pytest.mark.usefixtures("tricks")
def test_the_child_can_write_no_file(tmp_path: Path) -> None:
    target = tmp_path / "written"
    assert rejection_code(build_file(tmp_path, f"write {target}".encode())) == "not_written"
    assert not target.exists() or target.stat().st_size == 0
