"""Channels and the kill switch: rules of what can be saved, concurrent edits, and the history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from ota.apps import apps, channels, fallbacks, kill_switch
from ota.apps.channels import ChannelEdit
from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.devices import devices
from ota.devices.devices import Sighting
from ota.errors import Conflict, Invalid, NotFound, OtaError
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel
from tests.apps.given import acts_on, catalog_revision
from tests.builders.packages import apk
from tests.conftest import Api

ANNA = Actor(label="anna@example.com", role=Role.ADMIN)
NOW = utcnow()


def make(name: str, *falls_back_to: str, above: int | None = None, app: str | None = None) -> int:
    with transaction() as session:
        found = apps.find(session, app)
        return channels.create(
            session, ANNA, found, name=name, falls_back_to=falls_back_to, approval_above=above, now=NOW
        ).id


def edit(channel_id: int, *falls_back_to: str, above: int | None = None, revision: int | None = None) -> None:
    with transaction() as session:
        channel = channels.get(session, channel_id)
        channels.edit(session, ANNA, channel, ChannelEdit(falls_back_to, above), revision=revision, now=NOW)


def delete(channel_id: int) -> None:
    with transaction() as session:
        channels.delete(session, ANNA, channels.get(session, channel_id), now=NOW)


def switch(app_id: int | None, channel_id: int | None, *, is_off: bool) -> bool:
    with transaction() as session:
        what: App | Channel = (
            session.get_one(App, app_id) if app_id else channels.get(session, channel_id or 0)
        )
        act = kill_switch.shut_off if is_off else kill_switch.turn_on
        return act(session, ANNA, what, now=NOW)


def test_a_channel_is_made_changed_and_deleted_and_all_of_it_is_written_down(in_app: None) -> None:
    before = catalog_revision()
    nightly = make("nightly")
    beta = make("beta", "stable", "nightly", above=1000)
    found = {channel.name: channel for channel in channels.of_app(reader(), apps.find(reader(), None))}
    assert list(found) == ["stable", "beta", "nightly"]
    assert channels.edit_of(found["beta"]) == ChannelEdit(("nightly", "stable"), 1000)
    edit(beta, "stable", above=500)
    assert channels.edit_of(channels.get(reader(), beta)) == ChannelEdit(("stable",), 500)
    assert channels.get(reader(), beta).revision == 2
    delete(nightly)
    delete(beta)
    assert [channel.name for channel in channels.of_app(reader(), apps.find(reader(), None))] == ["stable"]
    assert acts_on("channel", beta) == ["channel.deleted", "channel.edited", "channel.created"]
    edited = audit.history(reader(), subjects=[("channel", beta)])[1]
    assert edited.before == {"name": "beta", "falls_back_to": "nightly, stable", "approval_above": 1000}
    assert edited.after == {"name": "beta", "falls_back_to": "stable", "approval_above": 500}
    assert catalog_revision() == before + 5


@pytest.mark.parametrize(
    "name", ["", " ", "Beta", "be ta", "-beta", "beta-", "béta", "b" * 41, "beta\n\n.", "a_b", "²", "<b>"]
)
def test_a_name_that_devices_could_not_send_well_is_refused(in_app: None, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        make(name)
    assert (caught.value.code, caught.value.details["field"]) == ("bad_channel_name", "name")


def test_good_names_are_taken_once(in_app: None) -> None:
    for name in ("b", "b" * 40, "2024-q1", " beta "):
        make(name)
    with pytest.raises(Conflict) as caught:
        make("beta")
    assert (caught.value.code, caught.value.field) == ("channel_taken", "name")


def test_a_channel_that_falls_back_to_itself_is_refused_and_the_steps_are_shown(in_app: None) -> None:
    with pytest.raises(Invalid) as caught:
        make("alpha", "alpha")
    assert caught.value.details["way"] == ["alpha", "alpha"]
    beta = make("beta")
    nightly = make("nightly", "beta")
    make("canary", "nightly")
    for wanted, steps in (
        ("beta", "beta -> beta"),
        ("nightly", "beta -> nightly -> beta"),
        ("canary", "beta -> canary -> nightly -> beta"),
    ):
        with pytest.raises(Invalid) as caught:
            edit(beta, "stable", wanted)
        assert steps in caught.value.message
        assert (caught.value.code, caught.value.details["way"]) == ("circular_fallback", steps.split(" -> "))
    assert channels.edit_of(channels.get(reader(), beta)) == ChannelEdit()
    edit(nightly)
    edit(beta, "nightly")


def test_two_who_save_the_two_halves_of_a_circle_do_not_both_succeed(app: Flask, in_app: None) -> None:
    beta, nightly, canary = make("beta"), make("nightly"), make("canary")
    for _ in range(8):
        halves = [(beta, "nightly"), (nightly, "canary"), (canary, "beta")]
        together = Barrier(len(halves))

        def save(half: tuple[int, str], together: Barrier = together) -> str:
            with app.app_context():
                channels.get(reader(), half[0])
                together.wait(30)
                try:
                    edit(half[0], half[1])
                except OtaError as error:
                    return error.code
            return "saved"

        with ThreadPoolExecutor(3) as pool:
            assert sorted(pool.map(save, halves)) == ["circular_fallback", "saved", "saved"]
        for each in (beta, nightly, canary):
            edit(each)


def test_a_fallback_must_be_a_channel_of_the_same_app(in_app: None) -> None:
    with transaction() as session:
        apps.create(session, ANNA, slug="other", name="Other", now=NOW)
    make("beta", app="other")
    with pytest.raises(Invalid, match=r"'beta'.*\bstable\b") as caught:
        make("nightly", "beta")
    assert (caught.value.code, caught.value.field) == ("unknown_fallback", "falls_back_to")
    nightly = make("nightly")
    with pytest.raises(Invalid, match="'gone'"):
        edit(nightly, "stable", "gone")
    delete(nightly)
    stable = channels.of_app(reader(), apps.find(reader(), None))[0].id
    with pytest.raises(Invalid, match="none") as caught:
        edit(stable, "beta")
    assert caught.value.code == "unknown_fallback"


@pytest.mark.parametrize("above", [-1, 10_000, 10_001, 0.1, 12.5, True])
def test_a_rule_is_given_in_whole_basis_points(in_app: None, above: Any) -> None:
    with pytest.raises(Invalid) as caught:
        make("beta", above=above)
    assert (caught.value.code, caught.value.field) == ("bad_approval_above", "approval_above")
    beta = make("beta", above=9_999)
    with pytest.raises(Invalid) as caught:
        edit(beta, above=above)
    assert caught.value.code == "bad_approval_above"


def test_a_stale_edit_gets_the_present_state(in_app: None) -> None:
    beta = make("beta")
    edit(beta, "stable", above=500, revision=1)
    with pytest.raises(Conflict) as caught:
        edit(beta, revision=1)
    assert caught.value.code == "stale_revision"
    current = caught.value.details["current"]
    assert current == {
        "id": beta,
        "name": "beta",
        "falls_back_to": ["stable"],
        "approval_above": 500,
        "is_shut_off": False,
        "revision": 2,
    }
    assert acts_on("channel", beta).count("channel.edited") == 1


def test_of_two_who_edit_the_same_state_one_wins(app: Flask, in_app: None) -> None:
    beta = make("beta")

    def save(above: int) -> str:
        with app.app_context():
            try:
                edit(beta, above=above, revision=1)
            except OtaError as error:
                return error.code
        return "saved"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(save, [100, 200, 300, 400])) == ["saved", *["stale_revision"] * 3]


def test_what_is_needed_is_not_deleted(in_app: None, api: Api) -> None:
    stable, beta = channels.of_app(reader(), apps.find(reader(), None))[0].id, make("beta")
    nightly = make("nightly", "beta")
    with pytest.raises(Conflict) as caught:
        delete(stable)
    assert caught.value.code == "default_channel"
    with pytest.raises(Conflict, match="nightly") as caught:
        delete(beta)
    assert caught.value.code == "channel_in_use"
    version = api.version()
    assert api.post(f"/api/versions/{version['id']}/releases", {"channel": "nightly"}).status_code == 201
    with pytest.raises(Conflict) as caught:
        delete(nightly)
    assert caught.value.code == "channel_has_history"
    api.post(f"/api/updates/deactivate/{version['id']}")
    with pytest.raises(Conflict) as caught:
        delete(nightly)
    assert caught.value.code == "channel_has_history"


def test_a_channel_is_either_deleted_or_published_on(app: Flask, in_app: None, api: Api) -> None:
    for code in range(1, 6):
        beta, version_id = make(f"beta-{code}"), api.version(code, f"1.{code}.0")["id"]
        together = Barrier(2)

        def act(
            verb: str,
            beta: int = beta,
            version_id: int = version_id,
            code: int = code,
            together: Barrier = together,
        ) -> int:
            together.wait(30)
            if verb == "delete":
                return Api(app, Role.ADMIN).delete(f"/api/channels/{beta}").status_code
            return (
                Api(app).post(f"/api/versions/{version_id}/releases", {"channel": f"beta-{code}"}).status_code
            )

        with ThreadPoolExecutor(2) as pool:
            deleted, published = pool.map(act, ["delete", "publish"])
        assert (deleted, published) in {(200, 404), (200, 409), (409, 201)}, (deleted, published)


def test_an_upload_that_was_meant_for_a_deleted_channel_is_meant_for_the_default_one(
    in_app: None, api: Api
) -> None:
    beta = make("beta")
    upload = api.upload(apk(), channel="beta")
    delete(beta)
    assert api.get(f"/api/versions/{upload['version']['id']}/preflight").json["channel"] == "stable"


def test_the_channels_whose_rule_an_edit_loosens_are_found(in_app: None) -> None:
    make("nightly")
    beta = make("beta", above=1000)
    make("gamma", "beta", above=0)

    def names(wanted: ChannelEdit, channel_id: int = beta) -> list[str]:
        known = {each.name: each for each in channels.of_app(reader(), apps.find(reader(), None))}
        found = fallbacks.loosened_by(
            known, channels.get(reader(), channel_id), wanted.falls_back_to, wanted.approval_above
        )
        return sorted(each.name for each in found)

    assert names(ChannelEdit((), 1000)) == []
    assert names(ChannelEdit((), 1001)) == ["beta"]
    assert names(ChannelEdit(("nightly",), 1000)) == ["beta", "gamma"]
    with pytest.raises(Invalid):
        names(ChannelEdit(("gone",), 1000))


@pytest.mark.parametrize("channel_id", [0, -1, 999, 2**31, 2**70])
def test_a_channel_that_never_was_is_not_found(in_app: None, channel_id: int) -> None:
    with pytest.raises(NotFound) as caught:
        channels.get(reader(), channel_id)
    assert caught.value.code == "unknown_channel"


def test_the_kill_switch_of_an_app_stops_every_offer_and_twice_is_fine(in_app: None, api: Api) -> None:
    api.published()
    before, app_id = catalog_revision(), apps.find(reader(), None).id
    assert switch(app_id, None, is_off=True) is True
    assert catalog_revision() == before + 1
    assert switch(app_id, None, is_off=True) is False
    assert (api.check()["reason"], api.check(user_initiated=True)["reason"]) == ("shut_off", "shut_off")
    assert api.get("/api/updates/latest?platform=android").status_code == 404
    assert [switch(app_id, None, is_off=False), switch(app_id, None, is_off=False)] == [True, False]
    assert api.check()["reason"] == "update_available"
    assert acts_on("app", app_id)[:2] == ["app.turned_on", "app.shut_off"]
    assert catalog_revision() == before + 2


def test_the_kill_switch_of_a_channel_stops_that_channel_and_those_who_reach_it(
    in_app: None, api: Api
) -> None:
    make("beta", "stable")
    nightly = make("nightly", "beta")
    api.published()
    beta = next(
        each.id for each in channels.of_app(reader(), apps.find(reader(), None)) if each.name == "beta"
    )
    assert switch(None, beta, is_off=True) is True
    assert api.check(channel="beta")["reason"] == "shut_off"
    assert api.check()["reason"] == "update_available"
    assert api.check(channel="nightly")["reason"] == "no_release"
    assert [each.name for each in kill_switch.channels_off(reader(), apps.find(reader(), None).id)] == [
        "beta"
    ]
    edit(nightly, "stable")
    assert api.check(channel="nightly")["reason"] == "update_available"
    assert switch(None, beta, is_off=False) is True
    assert api.check(channel="beta")["reason"] == "update_available"
    assert acts_on("channel", beta) == ["channel.turned_on", "channel.shut_off", "channel.created"]


def test_many_who_shut_off_at_once_leave_one_row_of_history(app: Flask, in_app: None) -> None:
    app_id = apps.find(reader(), None).id

    def off(_: int) -> bool:
        with app.app_context():
            return switch(app_id, None, is_off=True)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(off, range(4))) == [False, False, False, True]
    assert acts_on("app", app_id).count("app.shut_off") == 1


def test_devices_are_counted_on_all_channels_while_they_are_active(in_app: None) -> None:
    stable = channels.of_app(reader(), apps.find(reader(), None))[0]
    with transaction() as session:
        for number, days in enumerate((0, 29, 31)):
            seen = NOW - devices.ACTIVE_WITHIN + (devices.ACTIVE_WITHIN / 30) * (30 - days)
            row = Sighting(
                stable.id, apps.find_platform("android"), f"{number:064x}", "1.0.0", 1, None, None, (), seen
            )
            devices.note(session, [row])
    assert devices.count_active(reader(), stable.app_id, now=NOW) == 2
