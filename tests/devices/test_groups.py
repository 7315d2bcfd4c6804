"""Device groups: their members, concurrent edits, and what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import insert, select

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.devices import devices, group_members, groups
from ota.devices.group_members import Added
from ota.errors import Conflict, Invalid, NotFound, OtaError, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import DeviceGroupMember
from ota.models.releases import release_groups
from tests.apps.given import catalog_revision
from tests.conftest import Api

ANNA = Actor(label="anna@example.com", role=Role.PUBLISHER)
NOW = utcnow()


def hashed(device_id: str) -> str:
    return devices.hashed("k" * 64, device_id)


def make(name: str = "Testers", app: str | None = None) -> int:
    with transaction() as session:
        return groups.create(session, ANNA, apps.find(session, app), name=name, now=NOW).id


def add(group_id: int, ids: Sequence[str], note: str | None = None) -> Added:
    with transaction() as session:
        return group_members.add(
            session, ANNA, groups.get(session, group_id), ids, hashed=hashed, note=note, now=NOW
        )


def remove(group_id: int, which: Sequence[str]) -> int:
    with transaction() as session:
        return group_members.remove(
            session, ANNA, groups.get(session, group_id), which, hashed=hashed, now=NOW
        )


def delete(group_id: int) -> None:
    with transaction() as session:
        groups.delete(session, ANNA, groups.get(session, group_id), now=NOW)


def rename(group_id: int, name: str, revision: int | None = None) -> None:
    with transaction() as session:
        groups.rename(session, ANNA, groups.get(session, group_id), name=name, revision=revision, now=NOW)


def notes(group_id: int) -> dict[str, str | None]:
    reader().rollback()
    return {
        each.device_hash: each.note
        for each in group_members.listed(reader(), groups.get(reader(), group_id), limit=10_000)
    }


def open_to(api: Api, group_id: int) -> int:
    """Make a live release that is open to the group. Return its id."""
    release_id: int = api.published()["release"]["id"]
    with transaction() as session:
        session.execute(insert(release_groups).values(release_id=release_id, group_id=group_id))
    return release_id


def test_devices_come_and_go_and_only_hashes_are_kept(in_app: None) -> None:
    group_id = make()
    before = catalog_revision()
    assert add(group_id, ["one", "two", "two", " three"], note="Anna's tablets ") == Added(3, 0)
    assert notes(group_id) == dict.fromkeys(
        (hashed("one"), hashed("two"), hashed(" three")), "Anna's tablets"
    )
    assert catalog_revision() == before + 1
    assert add(group_id, ["two", "four"]) == Added(1, 1)
    assert (notes(group_id)[hashed("two")], notes(group_id)[hashed("four")]) == ("Anna's tablets", None)
    assert add(group_id, ["two"], note="Ben") == Added(0, 1)
    assert notes(group_id)[hashed("two")] == "Ben"
    assert remove(group_id, ["one", hashed("two"), "never there", "0" * 64]) == 2
    assert remove(group_id, ["one"]) == 0
    assert set(notes(group_id)) == {hashed(" three"), hashed("four")}
    events = audit.history(reader(), subjects=[("group", group_id)])
    assert [event.action for event in events] == [
        "group.devices_removed",
        "group.devices_added",
        "group.devices_added",
        "group.created",
    ]
    kept = " ".join(f"{event.before} {event.after}" for event in events)
    assert not any(text in kept for text in ("three", "four", hashed("four"), hashed("one")))


def test_a_device_is_found_in_the_groups_of_its_app_alone(in_app: None) -> None:
    with transaction() as session:
        apps.create(session, ANNA, slug="other", name="Other", now=NOW)
    testers, shop, foreign = make(), make("Shop 42"), make("Testers", app="other")
    for group_id in (testers, shop, foreign):
        add(group_id, ["one"])
    app_id = apps.find(reader(), None).id
    assert [group.id for group in group_members.groups_of(reader(), app_id, hashed("one"))] == [shop, testers]
    assert group_members.groups_of(reader(), app_id, hashed("two")) == []
    assert groups.counts(reader(), apps.find(reader(), None)) == {testers: 1, shop: 1}


@pytest.mark.parametrize(
    ("ids", "culprit"),
    [(["a", ""], "2 of 2 .* 0 characters"), (["x" * 201], "1 of 1 .* 201 characters")],
)
def test_an_id_that_no_device_sends_is_refused_and_nothing_is_added(
    in_app: None, ids: list[str], culprit: str
) -> None:
    group_id = make()
    with pytest.raises(Invalid, match=culprit) as caught:
        add(group_id, ids)
    assert (caught.value.code, caught.value.field) == ("bad_device_id", "add")
    assert notes(group_id) == {}
    assert add(group_id, ["x" * 200, "é\u202e", "<b>"]) == Added(3, 0)


@pytest.mark.parametrize("note", ["x" * 121, "two\nlines", "\u202e"])
def test_a_note_is_one_short_line(in_app: None, note: str) -> None:
    with pytest.raises(Invalid) as caught:
        add(make(), ["one"], note)
    assert (caught.value.code, caught.value.field) == ("bad_note", "note")


def test_a_group_holds_five_thousand_devices_and_says_so(in_app: None) -> None:
    group_id = make()
    assert add(group_id, [f"device-{number}" for number in range(4_999)]) == Added(4_999, 0)
    with pytest.raises(Invalid, match=r"5,000 .*4,999.* 2 more") as caught:
        add(group_id, ["device-1", "new-1", "new-2"])
    assert (caught.value.code, caught.value.field) == ("group_full", "add")
    assert add(group_id, ["device-1", "new-1"]) == Added(1, 1)
    assert remove(group_id, [f"device-{number}" for number in range(4_999)]) == 4_999
    assert list(notes(group_id)) == [hashed("new-1")]


def test_two_who_fill_a_group_at_once_never_overfill_it(app: Flask, in_app: None) -> None:
    group_id = make()
    add(group_id, [f"device-{number}" for number in range(4_990)])
    together = Barrier(4)

    def fill(who: int) -> str:
        with app.app_context():
            together.wait(30)
            try:
                add(group_id, [f"{who}-{number}" for number in range(4)] + ["shared"])
            except OtaError as error:
                return error.code
        return "added"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(fill, range(4))) == ["added", "added", "group_full", "group_full"]
    assert len(notes(group_id)) == 4_999


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "two\nlines", "\u202eevil"])
def test_a_group_needs_a_name_that_people_can_read(in_app: None, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        make(name)
    assert (caught.value.code, caught.value.field) == ("bad_group_name", "name")
    group_id = make()
    with pytest.raises(Invalid) as caught:
        rename(group_id, name)
    assert caught.value.code == "bad_group_name"


def test_a_name_is_taken_once_whatever_its_capitals(in_app: None) -> None:
    group_id, other = make(), make("Shop")
    with pytest.raises(Conflict) as caught:
        make("testers")
    assert (caught.value.code, caught.value.field) == ("group_taken", "name")
    with pytest.raises(Conflict) as caught:
        rename(other, "TESTERS")
    assert caught.value.code == "group_taken"
    rename(group_id, "TESTERS")
    with pytest.raises(Stale) as caught:
        rename(group_id, "Else", revision=1)
    assert caught.value.details["current"] == {"id": group_id, "name": "TESTERS", "devices": 0, "revision": 2}


def test_of_many_who_make_the_same_group_one_wins(app: Flask, in_app: None) -> None:
    together = Barrier(4)

    def create(_: int) -> str:
        with app.app_context():
            together.wait(30)
            try:
                make("Same")
            except OtaError as error:
                return error.code
        return "made"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == ["group_taken", "group_taken", "group_taken", "made"]


def test_a_group_is_not_deleted_while_a_live_release_is_open_to_it(in_app: None, api: Api) -> None:
    group_id = make()
    add(group_id, ["one", "two"])
    release_id = open_to(api, group_id)
    assert [release.id for release in groups.targeted_by(reader(), groups.get(reader(), group_id))] == [
        release_id
    ]
    with pytest.raises(Conflict, match=r"1\.0\.0 on stable") as caught:
        delete(group_id)
    assert caught.value.code == "group_in_use"
    api.post(f"/api/releases/{release_id}/rollback")
    delete(group_id)
    with pytest.raises(NotFound):
        groups.get(reader(), group_id)
    reader().rollback()
    assert reader().scalars(select(DeviceGroupMember)).all() == []
    deleted = audit.history(reader(), subjects=[("group", group_id)])[0]
    assert (deleted.action, deleted.before) == ("group.deleted", {"name": "Testers", "devices": 2})


def test_a_group_that_goes_while_devices_are_added_is_gone_or_stays_whole(app: Flask, in_app: None) -> None:
    for number in range(5):
        group_id = make(f"Group {number}")
        together = Barrier(2)

        def act(verb: str, group_id: int = group_id, together: Barrier = together) -> str:
            with app.app_context():
                groups.get(reader(), group_id)
                together.wait(30)
                try:
                    delete(group_id) if verb == "delete" else add(group_id, ["one"])
                except OtaError as error:
                    return error.code
            return verb

        with ThreadPoolExecutor(2) as pool:
            deleted, added = pool.map(act, ["delete", "add"])
        assert deleted == "delete"
        assert added in {"add", "unknown_group"}


def test_groups_are_found_by_their_names_and_a_missing_one_is_named(in_app: None) -> None:
    app = apps.find(reader(), None)
    with pytest.raises(NotFound, match="none yet") as caught:
        groups.named(reader(), app, ["Testers"])
    assert (caught.value.code, caught.value.field) == ("unknown_group", "groups")
    shop, testers = make("Shop 42"), make("Testers")
    app = apps.find(reader(), None)
    found = groups.named(reader(), app, [" Testers", "Shop 42", "Testers"])
    assert [group.id for group in found] == [testers, shop]
    assert groups.named(reader(), app, []) == []
    with pytest.raises(NotFound, match=r"'Beta'.*Shop 42, Testers\b") as caught:
        groups.named(reader(), app, ["Testers", "Beta"])
    assert (caught.value.code, caught.value.field) == ("unknown_group", "groups")


def test_a_release_is_open_to_a_limited_number_of_groups(in_app: None) -> None:
    names = [f"Shop {number}" for number in range(groups.MAX_PER_RELEASE + 1)]
    with transaction() as session:
        for name in names:
            groups.create(session, ANNA, apps.find(session, None), name=name, now=NOW)
    app = apps.find(reader(), None)
    assert len(groups.named(reader(), app, names[:-1])) == groups.MAX_PER_RELEASE
    with pytest.raises(Invalid) as caught:
        groups.named(reader(), app, names)
    assert (caught.value.code, caught.value.field) == ("too_many_groups", "groups")
