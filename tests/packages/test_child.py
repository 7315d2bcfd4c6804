"""Packages are read in a process of their own, which may be hurt without hurting anybody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ota.errors import Rejected
from ota.packages import child, read_here, read_package
from tests.builders import hostile
from tests.builders.packages import apk

TRICKS = ("-m", "tests.packages.tricks")
"""A stand-in for what the child runs: it does what the file's content names."""


def test_the_child_says_what_would_be_read_here(tmp_path: Path) -> None:
    path = tmp_path / "build"
    path.write_bytes(apk())
    assert read_package(path) == read_here(path)


def test_the_child_passes_a_rejection_on(tmp_path: Path) -> None:
    path = tmp_path / "build"
    path.write_bytes(b"no archive")
    with pytest.raises(Rejected, match="not a ZIP archive") as refusal:
        read_package(path)
    assert refusal.value.code == "not_a_package"


@pytest.mark.parametrize(("make", "code"), hostile.FILES.values(), ids=hostile.FILES.keys())
def test_a_hostile_file_is_refused_with_a_reason(tmp_path: Path, make: Any, code: str) -> None:
    path = tmp_path / "build"
    path.write_bytes(make())
    with pytest.raises(Rejected) as refusal:
        read_package(path)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("trick", "code"),
    [
        ("sleep", "too_slow"),
        ("spin", "too_slow"),
        ("eat", "too_much_memory"),
        ("die", "reader_died"),
        ("flood", "reader_died"),
        ("stammer", "reader_died"),
        ("fail", "reader_failed"),
    ],
)
def test_a_child_that_misbehaves_ends_in_a_rejection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: str, code: str
) -> None:
    path = tmp_path / "build"
    path.write_text(trick)
    monkeypatch.setattr(child, "_SECONDS", 2)
    monkeypatch.setattr(child, "_COMMAND", TRICKS)
    with pytest.raises(Rejected) as refusal:
        read_package(path)
    assert refusal.value.code == code


def test_a_disk_that_fails_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "build"
    path.write_text("disk")
    monkeypatch.setattr(child, "_COMMAND", TRICKS)
    with pytest.raises(OSError, match="Input/output error"):
        read_package(path)


def test_the_child_knows_no_secret_and_can_write_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTA_SECRET_KEY", "s" * 64)
    path = tmp_path / "build"
    path.write_text(f"tell {tmp_path / 'written'}")
    monkeypatch.setattr(child, "_COMMAND", TRICKS)
    with pytest.raises(Rejected) as refusal:
        read_package(path)
    assert refusal.value.message == "no secret; not written"
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0
