"""The alert ``profile.expiring``: once for each threshold, for versions that devices can be offered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ota import tasks
from ota.alerts import expiring_profiles
from ota.db import reader, transaction
from tests.alerts.given import hook, kinds, sent
from tests.builders.packages import ipa
from tests.builders.profiles import profile
from tests.conftest import Api
from tests.receivers import Receiver

pytestmark = pytest.mark.usefixtures("in_app")


def test_a_profile_about_to_expire_is_announced_once_for_each_threshold(api: Api, receiver: Receiver) -> None:
    hook(receiver.url)
    ends = datetime(2040, 3, 1, tzinfo=UTC)
    made = api.upload(ipa(profile=profile(expires_at=ends)), "app.ipa")
    api.post(f"/api/versions/{made['version']['id']}/activate")
    found = []
    for days in (20, 14, 10, 3, 1, -1):
        for app_id in expiring_profiles.candidates(reader()):
            with transaction() as session:
                found.append((days, expiring_profiles.warn(session, app_id, now=ends - timedelta(days=days))))
    assert found == [(20, 0), (14, 1), (10, 0), (3, 1), (1, 0), (-1, 0)]
    alerts = [each.payload for each in sent() if each.event == "profile.expiring"]
    assert [each["facts"]["within_days"] for each in alerts] == [14, 3]
    assert "1.0.0 (+1) expires on 2040-03-01" in alerts[0]["message"]
    tasks.warn_expiring.run()  # Today, its end is far.
    assert kinds().count("profile.expiring") == 2


def test_versions_with_one_profile_share_an_alert_and_only_those_still_offered(
    api: Api, receiver: Receiver
) -> None:
    hook(receiver.url, ["profile.expiring"])
    ends = datetime(2040, 3, 1, tzinfo=UTC)
    ids = []
    for code in range(1, 5):
        made = api.upload(
            ipa(profile=profile(expires_at=ends), version=f"1.0.{code}", build=str(code)), "app.ipa"
        )["version"]["id"]
        ids.append(made)
        rollout = 10000 if code < 4 else 1000
        assert api.post(f"/api/versions/{made}/releases", {"rollout": rollout}).status_code == 201
    with transaction() as session:
        assert [
            expiring_profiles.warn(session, app_id, now=ends - timedelta(days=9))
            for app_id in expiring_profiles.candidates(session)
        ] == [1]
    [alert] = [each.payload for each in sent()]
    assert alert["facts"]["versions"] == [
        "1.0.3 (+3)",
        "1.0.4 (+4)",
    ]  # Nobody is offered 1.0.1 and 1.0.2 any more.
    assert "1.0.3 (+3) and 1.0.4 (+4) expires on 2040-03-01" in alert["message"]
    assert alert["path"] == f"/apps/my-app/versions/{ids[3]}"
