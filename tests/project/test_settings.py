"""Settings: an invalid one is named, a missing one has a default."""

import stat
from pathlib import Path

import pytest

from ota.config import SettingsError, from_environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTA_PORT", "abc"),
        ("OTA_PORT", "70000"),
        ("OTA_NOPE", "1"),
        ("OTA_BASE_URL", "updates.example.com"),
        ("OTA_BASE_URL", "https://"),
        ("OTA_BASE_URL", "http://["),
        ("OTA_DATABASE_URL", "mysql://a/b"),
        ("OTA_REDIS_URL", "localhost"),
        ("OTA_STORAGE_URL", "s3://bucket"),
        ("OTA_LOGIN_LIMIT", "banana"),
        ("OTA_SECRET_KEY", "short"),
        ("OTA_ADMIN_EMAIL", "@"),
        ("OTA_ADMIN_PASSWORD", "short"),
        ("OTA_ADMIN_TOKEN", "short"),
        ("OTA_MAX_UPLOAD_BYTES", "0"),
        ("OTA_LEASE_SECONDS", "-1"),
        ("OTA_WEB_WORKERS", "two"),
        ("OTA_WEBHOOK_PRIVATE", "maybe"),
        ("OTA_SMTP_URL", "mail.example.com"),
        ("OTA_SMTP_URL", "smtp://user:p%C3%A4ssword@mail.example.com:587"),
        ("OTA_SMTP_URL", "smtps://mail.example.com/inbox"),
        ("OTA_SMTP_URL", "smtps://mail.example.com?tls=no"),
        ("OTA_SMTP_URL", "smtps://mail.example.com#top"),
    ],
)
def test_an_invalid_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        from_environment({name: value})


def test_a_mail_server_needs_a_sender() -> None:
    server = {"OTA_SMTP_URL": "smtp://user:pass%40word@mail.example.com:587"}
    with pytest.raises(SettingsError, match="OTA_MAIL_FROM"):
        from_environment(server)
    assert (
        from_environment({**server, "OTA_MAIL_FROM": "updates@example.com"}).mail_from
        == "updates@example.com"
    )


def test_nothing_has_to_be_set() -> None:
    settings = from_environment({"PATH": "/bin", "OTA_PORT": " "})
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.sqlalchemy_url.startswith("sqlite:///")
    assert settings.data_path.name == "instance"
    assert settings.storage_path.name == "uploads"


def test_a_data_folder_takes_the_artifacts_along(tmp_path: Path) -> None:
    settings = from_environment({"OTA_DATA_DIR": str(tmp_path)})
    assert settings.storage_path == tmp_path / "uploads"
    settings = from_environment({"OTA_DATA_DIR": str(tmp_path), "OTA_STORAGE_URL": "file:///srv/my%20files"})
    assert settings.storage_path == Path("/srv/my files")


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@db/ota", "postgres://u:p@db/ota", "postgresql+psycopg://u:p@db/ota"]
)
def test_a_postgresql_address_gets_the_driver_that_is_shipped(url: str) -> None:
    assert from_environment({"OTA_DATABASE_URL": url}).sqlalchemy_url == "postgresql+psycopg://u:p@db/ota"


def test_the_secret_key_is_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    settings = from_environment({"OTA_DATA_DIR": str(tmp_path / "data")})
    settings.prepare_folders()
    first, second = settings.with_secret_key(), settings.with_secret_key()
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) == 64
    assert stat.S_IMODE((tmp_path / "data" / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_damaged_secret_key_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("")
    with pytest.raises(SettingsError, match="OTA_SECRET_KEY"):
        from_environment({"OTA_DATA_DIR": str(tmp_path)}).with_secret_key()
