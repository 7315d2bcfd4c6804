"""Moves between states, and the rights of roles."""

import pytest

from ota.core.lifecycle import LIVE_STATES, ReleaseState, UploadStatus, may_move_release, may_move_upload
from ota.core.permissions import Access, Role, may


def test_a_finished_upload_stays_finished() -> None:
    ended = (UploadStatus.READY, UploadStatus.REJECTED)
    assert not any(may_move_upload(old, new) for old in ended for new in UploadStatus)


def test_a_killed_worker_gives_its_upload_back() -> None:
    assert may_move_upload(UploadStatus.PROCESSING, UploadStatus.RECEIVED)


@pytest.mark.parametrize("ended", [ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN])
def test_an_ended_release_never_comes_back(ended: ReleaseState) -> None:
    assert not any(may_move_release(ended, new) for new in ReleaseState)
    assert ended not in LIVE_STATES


@pytest.mark.parametrize("stopped", [ReleaseState.PAUSED, ReleaseState.HALTED])
def test_a_stopped_release_can_be_resumed_rolled_back_and_withdrawn(stopped: ReleaseState) -> None:
    reachable = {new for new in ReleaseState if may_move_release(stopped, new)}
    assert reachable == {
        ReleaseState.ACTIVE,
        ReleaseState.ROLLED_BACK,
        ReleaseState.WITHDRAWN,
        ReleaseState.CONCLUDED,
    }


def test_each_role_includes_the_rights_of_the_ones_before_it() -> None:
    allowed = [
        {access for access in Access if may(role, access)}
        for role in (Role.VIEWER, Role.PUBLISHER, Role.ADMIN)
    ]
    assert allowed[0] < allowed[1] < allowed[2]
    assert not may(Role.VIEWER, Access.PUBLISH)
    assert not may(Role.PUBLISHER, Access.ADMIN)
