"""Access to every route: denied unless declared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.clock import utcnow
from ota.core.permissions import Access, Role
from ota.db import transaction
from ota.errors import Conflict
from ota.history.audit import SYSTEM
from ota.people import accounts, tokens
from ota.web.access import Caller
from tests.conftest import EMAILS, PASSWORD, SECOND_PUBLISHER, TOKENS, Api, bearer, csrf_of

pytestmark = pytest.mark.sqlite_suffices

PUBLIC = {
    "static",
    "client_api.check",
    "client_api.latest",
    "changelog.show",
    "downloads.download",
    "health.health",
    "openapi.document",
    "openapi.docs",
    "account.login",
    "install.show",
    "install.shared",
    "install.unlock",
    "install.check_device",
    "install.android",
    "install.manifest",
    "icons.public",
    "telemetry_api.complete",
    "telemetry_api.events",
}


def routes(app: Flask) -> list[tuple[str, str, Access, Caller]]:
    """Every route as (method, address, access, caller), with plausible values in its address."""
    values = {
        "slug": "my-app",
        "upload_id": "0" * 32,
        "verb": "enable",
        "filename": "icon.svg",
        "platform": "android",
    }
    found = []
    for rule in app.url_map.iter_rules():
        access, caller = app.view_functions[rule.endpoint].__access__
        path = rule.rule
        for part in rule.arguments:
            converter = next(
                piece for piece in rule.rule.split("<") if piece.rstrip("/").split(">")[0].endswith(part)
            ).split(">")[0]
            path = path.replace(f"<{converter}>", str(values.get(part, 1)))
        found += [(method, path, access, caller) for method in rule.methods - {"HEAD", "OPTIONS"}]
    return found


def test_every_route_declares_who_may_use_it(app: Flask) -> None:
    undeclared = [
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if not hasattr(app.view_functions[rule.endpoint], "__access__")
    ]
    assert undeclared == []


def test_the_public_routes_are_these_and_no_others(app: Flask) -> None:
    public = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if app.view_functions[rule.endpoint].__access__[0] is Access.PUBLIC
    }
    assert public == PUBLIC


def test_a_route_that_declares_nothing_is_closed(app: Flask) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    answer = app.test_client().get("/forgotten")
    assert (answer.status_code, "secret" in answer.text) == (403, False)


def test_strangers_get_in_nowhere_else(app: Flask) -> None:
    for method, path, access, caller in routes(app):
        if access is Access.PUBLIC:
            continue
        answer = app.test_client().open(path, method=method)
        if caller is Caller.TOKEN:
            assert (answer.status_code, answer.json["code"]) == (401, "token_missing"), path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        else:
            assert (answer.status_code, answer.headers["Location"].startswith("/login")) == (303, True), path


def test_a_viewer_is_kept_out_of_everything_that_changes(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.VIEWER])
    for method, path, access, caller in routes(app):
        if access in {Access.PUBLIC, Access.VIEW}:
            continue
        headers = bearer(Role.VIEWER) if caller is Caller.TOKEN else {}
        assert browser.open(path, method=method, headers=headers).status_code == 403, path


def test_a_forged_form_is_refused_on_every_page_that_changes_something(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    for method, path, _, caller in routes(app):
        if caller is Caller.SESSION and method == "POST":
            answer = browser.post(path, data={"csrf_token": "forged"})
            assert (answer.status_code, "out of date" in answer.text) == (400, True), path


def test_a_session_is_worth_nothing_to_the_api(sign_in: Callable[..., FlaskClient]) -> None:
    assert sign_in().get("/api/versions").status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer nope", "bearer\t", TOKENS[Role.ADMIN]]
)
def test_a_wrong_token_is_401_with_the_challenge(client: FlaskClient, header: str) -> None:
    answer = client.get("/api/versions", headers={"Authorization": header})
    assert (answer.status_code, answer.json["ok"]) == (401, False)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="ota"'


def test_a_revoked_an_expired_and_an_orphaned_token_stop_at_the_next_request(app: Flask, api: Api) -> None:
    with app.app_context(), transaction() as session:
        owner = accounts.find(session, SECOND_PUBLISHER)
        made = {
            name: tokens.create(
                session, SYSTEM, owner, name=name, role=Role.PUBLISHER, now=utcnow(), lifetime_days=1
            )
            for name in ("revoked", "expired", "orphaned")
        }
        ids = {name: token.id for name, (token, _) in made.items()}
        secrets = {name: secret for name, (_, secret) in made.items()}

    def status(name: str) -> int:
        return api.client.get(
            "/api/versions", headers={"Authorization": f"Bearer {secrets[name]}"}
        ).status_code

    assert [status(name) for name in secrets] == [200, 200, 200]
    with app.app_context(), transaction() as session:
        tokens.revoke(session, SYSTEM, ids["revoked"], now=utcnow())
        session.get_one(type(made["expired"][0]), ids["expired"]).expires_at = utcnow() - timedelta(seconds=1)
    assert [status("revoked"), status("expired"), status("orphaned")] == [401, 401, 200]
    with app.app_context(), transaction() as session:
        accounts.set_enabled(session, SYSTEM, accounts.find(session, SECOND_PUBLISHER), False, now=utcnow())
    assert status("orphaned") == 401


def test_a_token_loses_what_its_owner_loses(app: Flask, api: Api) -> None:
    with app.app_context(), transaction() as session:
        accounts.set_role(
            session, SYSTEM, accounts.find(session, EMAILS[Role.PUBLISHER]), Role.VIEWER, now=utcnow()
        )
    assert api.get("/api/versions").status_code == 200
    assert api.post("/api/versions/1/activate").status_code == 403


def test_the_use_of_a_token_is_noted(app: Flask, api: Api) -> None:
    api.get("/api/versions")
    with app.app_context(), transaction() as session:
        token = tokens.authenticate(session, TOKENS[Role.PUBLISHER], now=utcnow())
        assert token.last_used_at is not None
        assert TOKENS[Role.PUBLISHER] not in (token.token_hash, token.prefix)


def test_logging_in_and_out(client: FlaskClient) -> None:
    page = client.get("/login")
    answer = client.post(
        "/login?next=/tokens",
        data={"email": " ADMIN@example.com ", "password": PASSWORD, "csrf_token": csrf_of(page)},
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/tokens")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" in cookie
    account = client.get("/account")
    assert account.status_code == 200
    assert client.post("/logout", data={"csrf_token": csrf_of(account)}).status_code == 303
    assert client.get("/account").status_code == 303


def test_logging_out_ends_the_sessions_on_other_machines(sign_in: Callable[..., FlaskClient]) -> None:
    here, there = sign_in(), sign_in()
    here.post("/logout", data={"csrf_token": csrf_of(here.get("/account"))})
    assert there.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("admin@example.com", "not this one"),
        ("nobody@example.com", PASSWORD),
        ("admin@example.com", "x" * 256),
    ],
)
def test_a_failed_login_has_one_message_whatever_the_reason(
    client: FlaskClient, email: str, password: str
) -> None:
    answer = client.post(
        "/login", data={"email": email, "password": password, "csrf_token": csrf_of(client.get("/login"))}
    )
    assert answer.status_code == 422
    assert "e-mail address or the password" in answer.text
    assert f'value="{email}"' in answer.text
    assert password not in answer.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.com/",
        "//evil.example.com",
        "/\\evil.example.com",
        "javascript:alert(1)",
        "//[",
        "",
    ],
)
def test_after_logging_in_nobody_is_sent_elsewhere(client: FlaskClient, target: str) -> None:
    data = {"email": "admin@example.com", "password": PASSWORD, "csrf_token": csrf_of(client.get("/login"))}
    answer = client.post("/login", query_string={"next": target}, data=data)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_a_changed_password_ends_the_other_sessions(sign_in: Callable[..., FlaskClient]) -> None:
    here, there = sign_in(), sign_in()
    form = {
        "current": PASSWORD,
        "password": "another good one",
        "again": "another good one",
        "csrf_token": csrf_of(here.get("/account")),
    }
    assert here.post("/account", data=form).status_code == 303
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"current": "wrong"}, "current password"),
        ({"password": "short", "again": "short"}, "10 to 256"),
        ({"again": "x"}, "differ"),
    ],
)
def test_a_password_is_not_changed_carelessly(
    sign_in: Callable[..., FlaskClient], change: dict[str, str], word: str
) -> None:
    browser = sign_in()
    form = {
        "current": PASSWORD,
        "password": "another good one",
        "again": "another good one",
        "csrf_token": csrf_of(browser.get("/account")),
    }
    answer = browser.post("/account", data={**form, **change})
    assert (answer.status_code, word in answer.text) == (422, True)


def test_administrators_manage_people(sign_in: Callable[..., FlaskClient], client: FlaskClient) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    token = csrf_of(browser.get("/people"))
    made = browser.post(
        "/people", data={"email": "new@example.com", "role": "publisher", "csrf_token": token}
    )
    password = made.text.split('class="secret"><code>')[1].split("<")[0]
    assert (
        client.post(
            "/login",
            data={
                "email": "new@example.com",
                "password": password,
                "csrf_token": csrf_of(client.get("/login")),
            },
        ).status_code
        == 303
    )
    again = browser.post("/people", data={"email": "new@example.com", "role": "viewer", "csrf_token": token})
    assert (again.status_code, "already" in again.text) == (422, True)
    assert password not in browser.get("/people").text


def test_a_role_change_acts_on_the_very_next_request(app: Flask, sign_in: Callable[..., FlaskClient]) -> None:
    publisher, admin = sign_in(), sign_in(EMAILS[Role.ADMIN])
    with app.app_context(), transaction() as session:
        user_id = accounts.find(session, EMAILS[Role.PUBLISHER]).id
    token = csrf_of(admin.get("/people"))
    assert (
        admin.post(f"/people/{user_id}/role", data={"role": "viewer", "csrf_token": token}).status_code == 303
    )
    assert publisher.get("/apps/my-app/uploads/new").status_code == 303
    assert admin.post(f"/people/{user_id}/disable", data={"csrf_token": token}).status_code == 303
    assert "locked out" in admin.get("/people").text


def test_nobody_changes_their_own_role_and_the_last_admin_stays(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    token = csrf_of(browser.get("/people"))
    with app.app_context(), transaction() as session:
        admin_id = accounts.find(session, EMAILS[Role.ADMIN]).id
    for path in (f"/people/{admin_id}/role", f"/people/{admin_id}/disable"):
        assert browser.post(path, data={"role": "viewer", "csrf_token": token}).status_code == 403
    with app.app_context(), pytest.raises(Conflict) as caught, transaction() as session:
        accounts.set_enabled(session, SYSTEM, accounts.find(session, EMAILS[Role.ADMIN]), False, now=utcnow())
    assert caught.value.code == "last_admin"


@pytest.mark.parametrize(
    "path",
    ["/people/99999999999999999999/disable", "/tokens/99999999999999999999/revoke", "/people/99/enable"],
)
def test_an_id_that_can_not_be_is_not_found(sign_in: Callable[..., FlaskClient], path: str) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    assert browser.post(path, data={"csrf_token": csrf_of(browser.get("/people"))}).status_code == 404


def test_a_person_makes_and_revokes_a_token(sign_in: Callable[..., FlaskClient], client: FlaskClient) -> None:
    browser = sign_in()
    form = {
        "name": "build server",
        "role": "publisher",
        "lifetime_days": "30",
        "csrf_token": csrf_of(browser.get("/tokens")),
    }
    page = browser.post("/tokens", data=form)
    secret = page.text.split('class="secret"><code>')[1].split("<")[0]
    assert secret.startswith("ota_")
    assert client.get("/api/versions", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    assert secret not in browser.get("/tokens").text
    revoke = page.text.split('action="/tokens/')[1].split('"')[0]
    browser.post(f"/tokens/{revoke}", data={"csrf_token": form["csrf_token"]})
    assert client.get("/api/versions", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_a_token_never_has_a_higher_role_than_its_owner(sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in()
    answer = browser.post(
        "/tokens", data={"name": "x", "role": "admin", "csrf_token": csrf_of(browser.get("/tokens"))}
    )
    assert (answer.status_code, "owner" in answer.text) == (422, True)


def test_a_person_does_not_revoke_somebody_elses_token(
    app: Flask, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    other = sign_in(SECOND_PUBLISHER)
    with app.app_context(), transaction() as session:
        token_id = tokens.authenticate(session, TOKENS[Role.PUBLISHER], now=utcnow()).id
    assert (
        other.post(
            f"/tokens/{token_id}/revoke", data={"csrf_token": csrf_of(other.get("/tokens"))}
        ).status_code
        == 404
    )
    assert api.get("/api/versions").status_code == 200


def test_every_page_carries_the_strict_headers(client: FlaskClient) -> None:
    answer = client.get("/login")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "max-age" in answer.headers["Strict-Transport-Security"]
