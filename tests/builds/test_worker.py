"""The worker: one upload through all steps, while disks fail and processes stop."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from ota.builds import pipeline, worker
from ota.builds.pipeline import Measured
from ota.builds.worker import process
from ota.clock import utcnow
from ota.core.lifecycle import UploadStatus
from ota.db import reader, transaction
from ota.models import Upload, Version
from ota.packages import PackageFacts
from ota.parts import part
from ota.storage import ArtifactStore
from ota.storage.incoming import Incoming
from tests.builds.given import row


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "disk"), PermissionError("no")]
)
def test_when_the_disk_fails_the_upload_waits_and_then_goes_on(
    app: Flask, upload_id: str, failure: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(part(ArtifactStore, app), "put", fail)
    for times in range(1, 6):
        process(app, upload_id)
        assert (row(upload_id).status, row(upload_id).postponements) == (UploadStatus.RECEIVED, times)
    monkeypatch.undo()
    process(app, upload_id)
    assert row(upload_id).status == UploadStatus.READY


def test_a_bug_is_raised_and_counts_as_a_crash(
    app: Flask, upload_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> PackageFacts:
        raise ZeroDivisionError

    monkeypatch.setattr(worker, "read_package", broken)
    with pytest.raises(ZeroDivisionError):
        process(app, upload_id)
    assert (row(upload_id).status, row(upload_id).postponements) == (UploadStatus.PROCESSING, 0)


def test_a_file_that_vanished_is_rejected_with_what_to_do(app: Flask, upload_id: str) -> None:
    part(Incoming, app).remove(upload_id)
    process(app, upload_id)
    assert row(upload_id).reason_code == "file_lost"


def test_stopping_between_storing_and_the_row_loses_nothing(
    app: Flask, upload_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "finish", power_cut)
    with pytest.raises(KeyboardInterrupt):
        process(app, upload_id)
    monkeypatch.undo()
    with transaction() as session:
        session.get_one(Upload, upload_id).lease_expires_at = utcnow()
    process(app, upload_id)
    assert row(upload_id).status == UploadStatus.READY
    assert reader().query(Version).count() == 1


def test_measuring_gives_the_digest_and_the_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 700_000)
    assert pipeline.measure(path) == Measured(hashlib.sha256(path.read_bytes()).hexdigest(), 2_100_000)
