"""Share links: when they open the page, how they are counted, and what the history records."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask

from ota.apps import apps
from ota.clock import utcnow
from ota.core.install_access import InstallAccess, normal_udid, visitor_platform
from ota.core.permissions import Role
from ota.core.platforms import Platform, android_name
from ota.db import reader, transaction
from ota.errors import Gone, Invalid, NotFound, OtaError
from ota.history import audit
from ota.history.audit import SYSTEM, Actor
from ota.installing import share_links
from ota.installing.share_links import ShareState
from ota.models import ShareLink

ANNA = Actor(label="anna@example.com", role=Role.PUBLISHER)
NOW = utcnow()


@contextmanager
def refused(kind: type[OtaError], code: str) -> Iterator[None]:
    """Expect an error with this code."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code


@pytest.fixture
def in_app(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def make(name: str = "Testers", days: int = 30, password: str | None = None) -> int:
    with transaction() as session:
        return share_links.create(
            session, ANNA, apps.find(session, None), name=name, days=days, password=password, now=NOW
        ).id


def opened(link_id: int | None, slug: str = "my-app", after: timedelta = timedelta()) -> ShareLink:
    return share_links.open_link(reader(), slug, link_id, now=NOW + after)


def test_a_link_opens_the_page_until_it_expires(in_app: None) -> None:
    link_id = make(days=2)
    assert opened(link_id, after=timedelta(days=2, seconds=-1)).app.slug == "my-app"
    with refused(Gone, "share_expired"):
        opened(link_id, after=timedelta(days=2))
    link = share_links.get(reader(), link_id)
    assert [share_links.state_of(link, NOW + timedelta(days=days)) for days in (1, 2)] == [
        ShareState.ACTIVE,
        ShareState.EXPIRED,
    ]


def test_a_revoked_link_is_closed_and_revoking_it_again_changes_nothing(in_app: None) -> None:
    link_id = make()
    for later in (0, 60):
        with transaction() as session:
            share_links.revoke(
                session, ANNA, share_links.get(session, link_id), now=NOW + timedelta(seconds=later)
            )
    with refused(Gone, "share_revoked"):
        opened(link_id)
    assert share_links.get(reader(), link_id).revoked_at == NOW
    events = audit.history(reader(), subjects=[("share", link_id)])
    assert [event.action for event in events] == ["share.revoked", "share.created"]
    assert {event.actor for event in events} == {"anna@example.com"}


def test_revoking_twice_at_once_leaves_one_row_of_history(app: Flask, in_app: None) -> None:
    link_id = make()

    def revoke(_: int) -> None:
        with app.app_context(), transaction() as session:
            share_links.revoke(session, ANNA, share_links.get(session, link_id), now=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(revoke, range(4)))
    assert [event.action for event in audit.history(reader(), subjects=[("share", link_id)])].count(
        "share.revoked"
    ) == 1


@pytest.mark.parametrize("link_id", [None, 999, 2**31, 2**70])
def test_an_unknown_link_opens_nothing(in_app: None, link_id: int | None) -> None:
    with refused(NotFound, "unknown_share"):
        opened(link_id)


def test_a_link_opens_only_its_own_app(in_app: None) -> None:
    link_id = make()
    with transaction() as session:
        other = apps.create(session, SYSTEM, slug="other", name="Other", now=NOW)
    with refused(NotFound, "unknown_share"):
        opened(link_id, slug="other")
    with refused(NotFound, "unknown_share"):
        share_links.get(reader(), link_id, app=other)


def test_a_link_opens_nothing_while_the_page_is_off(in_app: None) -> None:
    link_id = make()
    with transaction() as session:
        app = apps.find(session, None)
        apps.set_install_access(session, ANNA, app, InstallAccess.OFF, revision=app.revision, now=NOW)
    with refused(NotFound, "install_off"):
        opened(link_id)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 257}, "password"),
    ],
)
def test_a_malformed_link_is_refused(in_app: None, given: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        make(**given)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert share_links.of_app(reader(), apps.find(reader(), None)) == []


def test_a_password_is_kept_as_a_hash_and_never_in_the_history(in_app: None) -> None:
    link_id = make(password="open sesame")
    link = share_links.get(reader(), link_id)
    assert link.password_hash is not None
    assert link.password_hash.startswith("$argon2id$")
    assert [
        share_links.opens_with(link, tried) for tried in ("open sesame", "Open sesame", "", "x" * 10_000_000)
    ] == [
        True,
        False,
        False,
        False,
    ]
    assert "sesame" not in str(
        [event.after for event in audit.history(reader(), subjects=[("share", link_id)])]
    )
    assert share_links.opens_with(share_links.get(reader(), make()), "anything")


def test_simultaneous_visitors_are_all_counted(app: Flask, in_app: None) -> None:
    link_id = make()

    def visit(number: int) -> None:
        with app.app_context(), transaction() as session:
            (share_links.count_view if number % 3 else share_links.count_download)(session, link_id)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(visit, range(60)))
    link = share_links.get(reader(), link_id)
    assert (link.views, link.downloads) == (40, 20)


def test_the_newest_links_come_first_and_revoked_ones_last(in_app: None) -> None:
    first, second, third = make("first"), make("second"), make("third")
    with transaction() as session:
        share_links.revoke(session, ANNA, share_links.get(session, third), now=NOW)
    app = apps.find(reader(), None)
    assert [link.id for link in share_links.of_app(reader(), app)] == [second, first, third]
    assert [link.id for link in share_links.of_app(reader(), app, limit=1, offset=1)] == [first]


@pytest.mark.parametrize(
    ("agent", "platform"),
    [
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9)", Platform.ANDROID),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)", Platform.IOS),
        ("Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X)", Platform.IOS),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", None),
        ("Mozilla/5.0 (X11; CrOS x86_64)", None),
        ("", None),
    ],
)
def test_the_platform_is_read_from_the_user_agent(agent: str, platform: Platform | None) -> None:
    assert visitor_platform(agent) is platform


@pytest.mark.parametrize(
    ("level", "name"),
    [(24, "Android 7.0"), (36, "Android 16"), (99, "Android with API level 99"), (4, "Android")],
)
def test_an_api_level_has_the_name_that_people_know(level: int, name: str) -> None:
    assert android_name(level) == name


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (" 00008110-000A1B2C3D4E5F60\n", "00008110000a1b2c3d4e5f60"),
        ("AB" * 20, "ab" * 20),
        ("AB" * 19, None),
        ("", None),
        ("gg" * 20, None),
    ],
)
def test_a_udid_is_compared_without_its_spelling(text: str, normal: str | None) -> None:
    assert normal_udid(text) == normal
