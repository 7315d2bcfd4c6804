"""Experiments: arms share one salt, devices stay in their arm, the winner becomes the release."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from ota.apps import apps
from ota.core.comparison import Counts
from ota.core.experiments import Arm
from ota.core.platforms import Platform
from ota.core.rollout import bucket
from ota.db import reader, transaction
from ota.errors import Conflict, Invalid, NotFound, OtaError
from ota.experiments import experiments, results
from ota.history import audit
from ota.history.audit import SYSTEM
from ota.models import Experiment, ReleaseDevice, Version
from ota.releases import acts as release_acts
from tests.conftest import Api, drain
from tests.releases.given import START, begin, channel, hours, make

DEVICES = [f"device-{number}" for number in range(60)]


def run(*arms: tuple[int, int], name: str = "Colours", on: str | None = None) -> Experiment:
    with transaction() as session:
        draft = experiments.Draft(name=name, arms=tuple(Arm(*arm) for arm in arms), channel=on)
        return experiments.start(session, SYSTEM, apps.find(session, None).id, draft, now=START)


def finish(experiment_id: int, winner: int | None = None, **options: Any) -> None:
    with transaction() as session:
        found = experiments.get(session, experiment_id)
        experiments.end(session, SYSTEM, found, winner_version_id=winner, now=START + hours(1), **options)


def offers(api: Api, current: str = "1.0.0+0", **fields: Any) -> dict[str, int | None]:
    return {device: api.check(current, device_id=device, **fields)["version_code"] for device in DEVICES}


def test_each_device_is_offered_its_arm_and_stays_in_it(app: Flask, api: Api) -> None:
    with app.app_context():
        salt = run((make(1), 3_000), (make(2), 3_000)).salt
    expected = {
        device: 1 if bucket(salt, device) < 3_000 else 2 if bucket(salt, device) < 6_000 else None
        for device in DEVICES
    }
    assert {1, 2, None} == set(expected.values())
    assert offers(api) == expected
    assert offers(api, user_initiated=True) == expected
    with_one = offers(api, "1.1.0+1")
    assert with_one == {device: code if code == 2 else None for device, code in expected.items()}


def test_everybody_outside_the_arms_gets_the_release_below(app: Flask, api: Api) -> None:
    with app.app_context():
        begin(make(1))
        salt = run((make(2), 2_000), (make(3), 2_000)).salt
    for device, code in offers(api).items():
        number = bucket(salt, device)
        assert code == (2 if number < 2_000 else 3 if number < 4_000 else 1)


def test_the_version_that_stands_can_be_an_arm(app: Flask, api: Api) -> None:
    with app.app_context():
        present = make(1)
        begin(present)
        found = run((present, 5_000), (make(2), 5_000))
        assert set(offers(api).values()) == {1, 2}
        finish(found.id, winner=None)
    assert set(offers(api).values()) == {1}


def test_the_winner_becomes_the_release_for_everybody(app: Flask, api: Api) -> None:
    with app.app_context():
        one, two = make(1), make(2)
        found = run((one, 5_000), (two, 5_000))
        finish(found.id, winner=two)
        assert set(offers(api).values()) == {2}
        reader().rollback()
        assert reader().get_one(Version, one).is_active is False
        assert reader().get_one(Version, two).is_active is True
        ended = experiments.get(reader(), found.id)
        assert [(arm.state, arm.rollout) for arm in ended.arms] == [("concluded", 5_000)] * 2
        assert [event.action for event in audit.history(reader(), subjects=[("experiment", found.id)])] == [
            "experiment.ended",
            "experiment.started",
        ]


def test_without_a_winner_nothing_takes_the_place_of_the_arms(app: Flask, api: Api) -> None:
    with app.app_context():
        found = run((make(1), 5_000), (make(2), 5_000))
        finish(found.id)
    assert set(offers(api).values()) == {None}


def test_an_experiment_ends_once(app: Flask) -> None:
    with app.app_context():
        one = make(1)
        found = run((one, 5_000), (make(2), 5_000))
        with pytest.raises(Conflict) as stale:
            finish(found.id, revision=9)
        assert stale.value.code == "stale_revision"
        finish(found.id, winner=one)
        with pytest.raises(Conflict) as ended:
            finish(found.id)
        assert ended.value.code == "already_ended"


def test_experiments_never_share_devices(app: Flask) -> None:
    with app.app_context():
        channel("beta", falls_back_to="stable")
        channel("alone")
        run((make(1), 1_000), (make(2), 1_000))
        more = [make(code) for code in (3, 4)]
        for name in ("stable", "beta"):
            with pytest.raises(Conflict) as overlaps:
                run((more[0], 1_000), (more[1], 1_000), on=name)
            assert overlaps.value.code == "experiment_overlaps"
        run((more[0], 1_000), (more[1], 1_000), on="alone")
        run((make(1, platform=Platform.IOS), 1_000), (make(2, platform=Platform.IOS), 1_000), on="beta")


def test_a_rollback_of_an_arm_leaves_the_other_alone(app: Flask, api: Api) -> None:
    with app.app_context():
        found = run((make(1), 5_000), (make(2), 5_000))
        with transaction() as session:
            arm = experiments.get(session, found.id).arms[1]
            release_acts.change_state(session, SYSTEM, arm, release_acts.ReleaseState.ROLLED_BACK, now=START)
    assert set(offers(api).values()) == {1, None}


@pytest.mark.parametrize(
    ("arms", "problem"),
    [
        ([(1, 5_000)], "2 to 10 versions"),
        ([(1, 5_000), (1, 5_000)], "two arms"),
        ([(1, 6_000), (2, 5_000)], "110 %"),
        ([(1, 0), (2, 5_000)], "weight of 0"),
        ([(1, 5_000), (3, 5_000)], "different platforms"),
    ],
)
def test_arms_that_can_not_be_are_refused_with_a_sentence(
    app: Flask, arms: list[tuple[int, int]], problem: str
) -> None:
    with app.app_context():
        ids = {1: make(1), 2: make(2), 3: make(1, platform=Platform.IOS)}
        with pytest.raises(Invalid) as refused:
            run(*[(ids[number], weight) for number, weight in arms])
        assert (refused.value.code, problem in refused.value.message) == ("bad_arms", True)


def test_what_is_not_there_can_neither_be_an_arm_nor_win(app: Flask) -> None:
    with app.app_context():
        one, two, other = make(1), make(2), make(3)
        with pytest.raises(NotFound):
            run((one, 5_000), (999, 5_000))
        found = run((one, 5_000), (two, 5_000))
        with pytest.raises(Invalid) as stranger:
            finish(found.id, winner=other)
        assert stranger.value.code == "bad_winner"


def test_over_http(api: Api, app: Flask) -> None:
    with app.app_context():
        one, two = make(1), make(2)
    arms = [{"version_id": one, "weight": 5_000}, {"version_id": two, "weight": 5_000}]
    started = api.post("/api/experiments", {"name": "Colours", "arms": arms})
    assert (started.status_code, started.json["experiment"]["state"]) == (201, "running")
    number = started.json["experiment"]["id"]
    assert api.post("/api/experiments", {"name": "Again", "arms": arms}).json["code"] == "experiment_overlaps"
    assert [each["id"] for each in api.get("/api/experiments").json["experiments"]] == [number]
    arm = api.get(f"/api/experiments/{number}").json["experiment"]["arms"][0]
    assert api.post(f"/api/releases/{arm['id']}/rollout", {"rollout": 9_000}).json["code"] == "in_experiment"
    ended = api.post(f"/api/experiments/{number}/end", {"winner_version_id": two})
    assert (ended.status_code, ended.json["experiment"]["winner_version_id"]) == (200, two)
    assert api.check()["version_code"] == 2
    assert (
        api.post(
            "/api/experiments", {"name": "Half", "arms": [{"version_id": one, "weight": 0.5}] * 2}
        ).status_code
        == 400
    )


def test_two_people_who_start_one_at_the_same_moment(app: Flask) -> None:
    with app.app_context():
        ids = [make(code) for code in range(1, 9)]

    def begin_one(number: int) -> str:
        with app.app_context():
            try:
                run((ids[2 * number], 1_000), (ids[2 * number + 1], 1_000))
            except OtaError as error:
                return error.code
            return "started"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(begin_one, range(4))) == [*["experiment_overlaps"] * 3, "started"]


def journey(release_id: int, number: int, **times: Any) -> ReleaseDevice:
    return ReleaseDevice(
        release_id=release_id, device_id=f"{number:064}", is_control=False, version_code=1, **times
    )


def test_results_count_each_device_once_and_only_failures_inside_the_window(app: Flask, api: Api) -> None:
    with app.app_context():
        experiment_id = run((make(1), 3_000), (make(2), 3_000)).id
        one, two = (arm.id for arm in experiments.get(reader(), experiment_id).arms)
        reader().rollback()
        installed = {"offered_at": START, "installed_at": START, "enrolled_at": START}
        with transaction() as session:
            session.add_all(
                [
                    journey(one, 1, offered_at=START),
                    journey(one, 2, **installed),
                    journey(one, 3, **installed, failed_at=START + hours(24)),
                    journey(one, 4, **installed, failed_at=START + hours(24.01)),
                    journey(
                        one, 5, offered_at=START, enrolled_at=START, failed_at=START
                    ),  # The installation itself failed.
                    journey(two, 6, **installed),
                    ReleaseDevice(
                        release_id=two,
                        device_id=f"{7:064}",
                        is_control=True,
                        version_code=1,
                        enrolled_at=START,
                        failed_at=START,
                    ),
                ]
            )
        found = results.of(reader(), experiments.get(reader(), experiment_id))
        assert [each.counts for each in found] == [Counts(5, 3, 4, 2), Counts(1, 1, 1, 0)]
        reader().rollback()
        finish(experiment_id)
        assert [
            each.counts.offered for each in results.of(reader(), experiments.get(reader(), experiment_id))
        ] == [5, 1]


def test_what_the_devices_do_becomes_the_results(app: Flask, api: Api) -> None:
    with app.app_context():
        experiment_id = run((make(1), 5_000), (make(2), 5_000)).id
    given = offers(api)
    for device, code in given.items():
        if code == 2:
            api.check("1.2.0+2", device_id=device)
    drain(app)
    answer = api.get(f"/api/experiments/{experiment_id}").get_json()
    shares = {
        each["version_id"]: (each["completion"]["devices"], each["completion"]["total"])
        for each in answer["results"]
    }
    seconds = sum(code == 2 for code in given.values())
    assert list(shares.values()) == [(0, len(DEVICES) - seconds), (seconds, seconds)]
    first, second = answer["results"]
    assert (first["completion_beside"], first["failures_beside"]) == (None, None)
    assert second["completion_beside"] == {
        "finding": "too_few_devices",
        "difference": None,
        "low": None,
        "high": None,
    }
