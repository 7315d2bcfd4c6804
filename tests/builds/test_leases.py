"""Leases: which worker owns an upload, and what happens when a worker dies or the disk fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from ota.builds import leases, pipeline
from ota.builds.leases import Lease, LeaseLost
from ota.builds.pipeline import Measured
from ota.builds.worker import process
from ota.clock import utcnow
from ota.core.lifecycle import UploadStatus
from ota.core.platforms import Platform, Scheme
from ota.db import reader, transaction
from ota.errors import Rejected
from ota.models import Upload, Version
from ota.packages import PackageFacts
from ota.packages.facts import Signature
from tests.builds.given import row

LEASE = timedelta(seconds=60)


SIGNATURE = Signature(scheme=Scheme.V2, signer="5" * 64)


FACTS = PackageFacts(
    platform=Platform.ANDROID,
    package_id="com.example.app",
    version="1.0.0",
    version_code=1,
    signature=SIGNATURE,
)


def claim(upload_id: str, later: timedelta = timedelta()) -> Lease | None:
    with transaction() as session:
        return leases.claim(session, upload_id, now=utcnow() + later, length=LEASE)


def test_a_claimed_upload_is_not_claimed_again_before_its_lease_ends(upload_id: str) -> None:
    first = claim(upload_id)
    assert first is not None
    assert claim(upload_id) is None
    second = claim(upload_id, later=LEASE * 2)
    assert second is not None
    assert second.token != first.token
    assert row(upload_id).attempts == 2


def test_a_worker_that_lost_its_lease_can_neither_finish_nor_reject_nor_renew(upload_id: str) -> None:
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


def test_only_stalled_uploads_are_sent_again_and_only_once_per_lease(upload_id: str) -> None:
    def stalled(later: timedelta) -> list[str]:
        with transaction() as session:
            return list(leases.take_stalled(session, now=utcnow() + later, length=LEASE))

    assert stalled(timedelta()) == []
    assert stalled(LEASE * 2) == [upload_id]
    assert stalled(LEASE * 2) == []
    lease = claim(upload_id)
    assert lease is not None
    assert stalled(LEASE * 2) == [upload_id]
    assert row(upload_id).status == UploadStatus.RECEIVED
    with pytest.raises(LeaseLost), transaction() as session:
        leases.renew(session, lease, now=utcnow(), length=LEASE)


def test_a_finished_upload_is_never_taken_up_again(app: Flask, upload_id: str) -> None:
    process(app, upload_id)
    assert row(upload_id).status == UploadStatus.READY
    with transaction() as session:
        assert list(leases.take_stalled(session, now=utcnow() + LEASE * 100, length=LEASE)) == []
    assert claim(upload_id, later=LEASE * 100) is None
    process(app, upload_id)
    assert row(upload_id).attempts == 1


def test_after_three_crashes_the_file_is_rejected(upload_id: str) -> None:
    for death in range(3):
        assert claim(upload_id, later=LEASE * 2 * death) is not None
    assert claim(upload_id, later=LEASE * 8) is None
    assert (row(upload_id).status, row(upload_id).reason_code) == (UploadStatus.REJECTED, "processing_died")


def test_a_wait_grows_but_never_beyond_five_minutes(app: Flask, upload_id: str) -> None:
    waits = []
    for _ in range(12):
        lease = claim(upload_id, later=timedelta(hours=1))
        assert lease is not None
        with transaction() as session:
            now = utcnow()
            leases.postpone(session, lease, now=now)
        waits.append((row(upload_id).lease_expires_at - now).total_seconds())
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2, 300)


def test_an_upload_that_was_postponed_for_a_day_is_rejected(upload_id: str) -> None:
    with transaction() as session:
        upload = session.get_one(Upload, upload_id)
        upload.attempts = upload.postponements = leases.MAX_POSTPONEMENTS
    assert claim(upload_id) is None
    assert row(upload_id).reason_code == "processing_impossible"
