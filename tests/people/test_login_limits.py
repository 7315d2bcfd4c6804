"""Limits of login attempts, with Redis, without it, and while it is away."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from app import create_app
from tests.conftest import PASSWORD, csrf_of, make_cast, settings_for
from tests.servers import RedisServer, free_port


def try_to_log_in(app: Flask, email: str, password: str = "wrong", address: str = "10.0.0.1") -> int:
    browser = app.test_client()
    data = {"email": email, "password": password, "csrf_token": csrf_of(browser.get("/login"))}
    return browser.post("/login", data=data, environ_base={"REMOTE_ADDR": address}).status_code


def limited(folder: Path, redis_url: str = "") -> Flask:
    settings = settings_for(folder, login_limit="3 per hour", redis_url=redis_url)
    app = create_app(settings)
    make_cast(app, settings)
    return app


def test_an_address_has_a_limit_of_tries_whatever_the_account(tmp_path: Path) -> None:
    app = limited(tmp_path)
    assert [try_to_log_in(app, f"{name}@example.com") for name in "abcd"] == [422, 422, 422, 429]
    assert try_to_log_in(app, "admin@example.com", PASSWORD, address="10.0.0.2") == 303


def test_an_account_has_a_limit_of_tries_whatever_the_address(tmp_path: Path) -> None:
    app = limited(tmp_path)
    tries = [try_to_log_in(app, "Admin@example.com", address=f"10.0.0.{number}") for number in range(4)]
    assert tries == [422, 422, 422, 429]
    assert try_to_log_in(app, "admin@example.com", PASSWORD, address="10.0.0.9") == 429


def test_the_refusal_says_when_to_come_back(tmp_path: Path) -> None:
    app = limited(tmp_path)
    for _ in range(3):
        try_to_log_in(app, "a@example.com")
    browser = app.test_client()
    answer = browser.post(
        "/login",
        data={"email": "a@example.com", "password": "x", "csrf_token": csrf_of(browser.get("/login"))},
        environ_base={"REMOTE_ADDR": "10.0.0.1"},
    )
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_web_processes_share_the_count_in_redis(tmp_path: Path, redis_server: RedisServer) -> None:
    one = limited(tmp_path, redis_server.url)
    other = create_app(settings_for(tmp_path, login_limit="3 per hour", redis_url=redis_server.url))
    tries = [try_to_log_in(app, "a@example.com") for app in (one, other, one, other)]
    assert tries == [422, 422, 422, 429]


def test_without_redis_logins_are_still_limited_and_devices_are_served(tmp_path: Path) -> None:
    app = limited(tmp_path, f"redis://127.0.0.1:{free_port()}/0")
    assert [try_to_log_in(app, "a@example.com") for _ in range(4)] == [422, 422, 422, 429]
    client = app.test_client()
    body = {"platform": "android", "current_version": "1.0.0+1"}
    assert {client.post("/api/updates/check", json=body).status_code for _ in range(20)} == {200}
