"""The artifact store and the quarantine, on a real disk."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from ota.errors import StorageFull
from ota.storage.incoming import Incoming
from ota.storage.local import LocalStore

DIGEST = hashlib.sha256(b"bytes").hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    (tmp_path / "artifacts").mkdir()
    return LocalStore(tmp_path / "artifacts")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"bytes")
    return path


@pytest.fixture
def incoming(tmp_path: Path) -> Incoming:
    (tmp_path / "incoming").mkdir()
    return Incoming(tmp_path / "incoming")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_bytes_are_stored_under_their_digest_and_the_source_stays(store: LocalStore, source: Path) -> None:
    store.put(source, DIGEST)
    assert store.path(DIGEST).parts[-3:] == (DIGEST[:2], DIGEST[2:4], DIGEST)
    with store.open(DIGEST) as file:
        assert file.read() == b"bytes"
    assert source.exists()


def test_storing_twice_is_storing_once(store: LocalStore, source: Path, tmp_path: Path) -> None:
    store.put(source, DIGEST)
    store.put(source, DIGEST)
    assert names(tmp_path / "artifacts") == [DIGEST]


def test_a_source_on_another_file_system_is_copied(
    store: LocalStore, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def across(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", across)
    store.put(source, DIGEST)
    assert store.path(DIGEST).read_bytes() == b"bytes"
    assert names(tmp_path / "artifacts") == [DIGEST]


def test_no_room_leaves_nothing_behind(
    store: LocalStore, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StorageFull) as refusal:
        store.put(source, DIGEST)
    assert refusal.value.code == "storage_full"
    assert names(tmp_path / "artifacts") == []


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", DIGEST.upper(), DIGEST + "0", "z" * 64])
def test_only_a_digest_names_an_artifact(store: LocalStore, digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.open(digest)


def test_an_artifact_that_is_not_stored_can_not_be_opened(store: LocalStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.open(DIGEST)


def test_a_received_file_is_kept_whole_or_not_at_all(incoming: Incoming, tmp_path: Path) -> None:
    kept, dropped = incoming.begin(), incoming.begin()
    kept.stream.write(b"whole")
    dropped.stream.write(b"half")
    assert kept.keep() == 5
    kept.discard()
    dropped.discard()
    dropped.discard()
    assert names(tmp_path / "incoming") == [kept.upload_id]
    incoming.remove(kept.upload_id)
    incoming.remove(kept.upload_id)
    assert names(tmp_path / "incoming") == []


def test_the_sweep_deletes_only_old_and_unwanted_files(incoming: Incoming, tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    old, wanted, young = "a" * 32, "b" * 32, "c" * 32
    for name in (old, wanted, young, "d" * 32 + ".part"):
        (folder / name).write_bytes(b"x")
    for name in (old, wanted):
        os.utime(folder / name, (time.time() - 7200, time.time() - 7200))
    assert incoming.sweep({wanted}, older_than_seconds=3600) == 1
    assert names(folder) == sorted([wanted, young, "d" * 32 + ".part"])
    incoming.discard_parts()
    assert names(folder) == sorted([wanted, young])


@pytest.mark.parametrize("upload_id", ["", "..", "a/b", "A" * 32, "a" * 31])
def test_only_generated_ids_name_received_files(incoming: Incoming, upload_id: str) -> None:
    with pytest.raises(ValueError, match="upload id"):
        incoming.path(upload_id)
