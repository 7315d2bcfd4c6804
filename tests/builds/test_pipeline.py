"""Leases: who may work on an upload, and what becomes of it when somebody dies or the world fails."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from ota.builds import leases, pipeline, worker
from ota.builds.leases import Lease, LeaseLost
from ota.builds.pipeline import Measured
from ota.builds.worker import process
from ota.clock import utcnow
from ota.core.lifecycle import UploadStatus
from ota.core.platforms import Platform, Scheme
from ota.db import db, reader, transaction
from ota.errors import Rejected
from ota.models import Upload, Version
from ota.packages import PackageFacts
from ota.packages.facts import Signature
from ota.parts import part
from ota.storage import ArtifactStore
from ota.storage.incoming import Incoming
from tests.builders.packages import apk
from tests.conftest import Api

LEASE = timedelta(seconds=60)
SIGNATURE = Signature(scheme=Scheme.V2, signer="5" * 64)
FACTS = PackageFacts(
    platform=Platform.ANDROID,
    package_id="com.example.app",
    version="1.0.0",
    version_code=1,
    signature=SIGNATURE,
)


@pytest.fixture
def upload_id(app: Flask, api: Api) -> Iterator[str]:
    found = api.send(apk()).json["upload"]["id"]
    with app.app_context():
        yield found


def claim(upload_id: str, later: timedelta = timedelta()) -> Lease | None:
    with transaction() as session:
        return leases.claim(session, upload_id, now=utcnow() + later, length=LEASE)


def row(upload_id: str) -> Upload:
    db.session.rollback()
    return reader().get_one(Upload, upload_id)


def test_a_claimed_upload_is_not_claimed_again_before_its_lease_ends(upload_id: str) -> None:
    first = claim(upload_id)
    assert first is not None
    assert claim(upload_id) is None
    second = claim(upload_id, later=LEASE * 2)
    assert second is not None
    assert second.token != first.token
    assert row(upload_id).attempts == 2


def test_who_lost_the_lease_can_neither_finish_nor_reject_nor_renew(upload_id: str) -> None:
    old, new = claim(upload_id), claim(upload_id, later=LEASE * 2)
    assert old is not None
    assert new is not None
    now = utcnow()
    for act in (
        lambda session: pipeline.finish(session, old, FACTS, Measured("ab" * 32, 5), now=now),
        lambda session: leases.reject(session, old, Rejected("x", "y"), now=now),
        lambda session: leases.renew(session, old, now=now, length=LEASE),
        lambda session: leases.postpone(session, old, now=now),
    ):
        with pytest.raises(LeaseLost), transaction() as session:
            act(session)
    assert (row(upload_id).status, row(upload_id).lease_token) == (UploadStatus.PROCESSING, new.token)
    assert reader().query(Version).count() == 0


def test_only_what_stayed_behind_is_sent_again_and_only_once_a_lease(upload_id: str) -> None:
    def stalled(later: timedelta) -> list[str]:
        with transaction() as session:
            return list(leases.take_stalled(session, now=utcnow() + later, length=LEASE))

    assert stalled(timedelta()) == []
    assert stalled(LEASE * 2) == [upload_id]
    assert stalled(LEASE * 2) == []
    job = claim(upload_id)
    assert job is not None
    assert stalled(LEASE * 2) == [upload_id]
    assert row(upload_id).status == UploadStatus.RECEIVED
    with pytest.raises(LeaseLost), transaction() as session:
        leases.renew(session, job, now=utcnow(), length=LEASE)


def test_a_finished_upload_is_never_taken_up_again(app: Flask, upload_id: str) -> None:
    process(app, upload_id)
    assert row(upload_id).status == UploadStatus.READY
    with transaction() as session:
        assert list(leases.take_stalled(session, now=utcnow() + LEASE * 100, length=LEASE)) == []
    assert claim(upload_id, later=LEASE * 100) is None
    process(app, upload_id)
    assert row(upload_id).attempts == 1


def test_after_three_deaths_the_file_is_given_up(upload_id: str) -> None:
    for death in range(3):
        assert claim(upload_id, later=LEASE * 2 * death) is not None
    assert claim(upload_id, later=LEASE * 8) is None
    assert (row(upload_id).status, row(upload_id).reason_code) == (UploadStatus.REJECTED, "processing_died")


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


def test_a_wait_grows_but_never_beyond_five_minutes(app: Flask, upload_id: str) -> None:
    waits = []
    for _ in range(12):
        job = claim(upload_id, later=timedelta(hours=1))
        assert job is not None
        with transaction() as session:
            now = utcnow()
            leases.postpone(session, job, now=now)
        waits.append((row(upload_id).lease_expires_at - now).total_seconds())
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2, 300)


def test_what_fails_for_a_day_is_given_up(upload_id: str) -> None:
    with transaction() as session:
        upload = session.get_one(Upload, upload_id)
        upload.attempts = upload.postponements = leases.MAX_POSTPONEMENTS
    assert claim(upload_id) is None
    assert row(upload_id).reason_code == "processing_impossible"


def test_a_fault_of_ours_is_raised_and_counts_as_a_death(
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
    import hashlib

    assert pipeline.measure(path) == Measured(hashlib.sha256(path.read_bytes()).hexdigest(), 2_100_000)
