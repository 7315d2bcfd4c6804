"""Settings, read once from the environment. A wrong one stops the start with a sentence that names the variable."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import limits
import msgspec
from msgspec import Meta

from ota.core.type_errors import in_words

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "OTA_"

Port = Annotated[int, Meta(ge=1, le=65535)]
Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]


class SettingsError(ValueError):
    """A setting can't be used. The message names the environment variable and what was expected."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: PREFIX + name.upper()):
    """Everything that differs between installations. Each field is the environment variable ``OTA_<NAME>``.

    An empty text means "not given": the properties below then work out the default for one machine.
    """

    data_dir: str = ""
    host: str = "127.0.0.1"
    port: Port = 8000
    base_url: str = ""
    database_url: str = ""
    redis_url: str = ""
    storage_url: str = ""
    secret_key: str = ""
    admin_email: str = "admin@localhost"
    admin_password: str = ""
    admin_token: str = ""
    web_workers: Positive = 1
    web_threads: Positive = 64
    web_affinity: bool = True
    worker_processes: Positive = 2
    max_upload_bytes: Positive = 2 * 1024**3
    lease_seconds: Positive = 60
    trusted_proxies: Count = 0
    login_limit: str = "10 per minute"
    report_limit: str = "6000 per minute"
    check_limit: str = "60000 per minute"
    journal_bytes: Positive = 1024**3
    webhook_private: bool = False
    smtp_url: str = ""
    mail_from: str = ""

    @property
    def data_path(self) -> Path:
        """Database, queue and secrets live here."""
        return Path(self.data_dir).resolve() if self.data_dir else ROOT / "instance"

    @property
    def storage_path(self) -> Path:
        """The folder that holds ``incoming/`` and ``artifacts/``."""
        if self.storage_url:
            return Path(unquote(urlsplit(self.storage_url).path))
        return self.data_path / "uploads" if self.data_dir else ROOT / "uploads"

    @property
    def incoming_path(self) -> Path:
        return self.storage_path / "incoming"

    @property
    def worker_sign_path(self) -> Path:
        """Touched by the worker while it works; the supervisor restarts a worker that falls silent."""
        return self.data_path / "worker.alive"

    @property
    def sender_sign_path(self) -> Path:
        """The same of the process that sends alerts."""
        return self.data_path / "sender.alive"

    @property
    def resend_interval(self) -> float:
        """Seconds between two looks for uploads that stayed behind."""
        return max(1.0, min(10.0, self.lease_seconds / 4))

    @property
    def journal_path(self) -> Path:
        """What devices reported and nobody has counted yet."""
        return self.data_path / "journal"

    @property
    def queue_path(self) -> Path:
        """Where the messages are kept without Redis."""
        return self.data_path / "queue"

    @property
    def public_url(self) -> str:
        """Absolute address of this server as devices see it, without a trailing slash."""
        if self.base_url:
            return self.base_url.rstrip("/")
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def sqlalchemy_url(self) -> str:
        """The database address with the driver that we ship spelled out."""
        url = self.database_url or f"sqlite:///{self.data_path / 'ota.db'}"
        for old in ("postgresql://", "postgres://"):
            if url.startswith(old):
                return "postgresql+psycopg://" + url.removeprefix(old)
        return url

    @property
    def broker_url(self) -> str:
        return self.redis_url or "files://localhost//"

    def prepare_folders(self) -> None:
        """Make the folders this machine needs. The data folder is for this user alone: it holds secrets."""
        self.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (
            self.incoming_path,
            self.storage_path / "artifacts",
            self.data_path / "tmp",
            self.journal_path,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        if not self.redis_url:
            for name in ("messages", "control"):
                (self.queue_path / name).mkdir(parents=True, exist_ok=True)

    def with_secret_key(self) -> Settings:
        """These settings with a secret key: the given one, or one made once and kept in the data folder."""
        if self.secret_key:
            return self
        path = self.data_path / "secret_key"
        if not path.exists():
            _write_key_once(path)
        return msgspec.structs.replace(self, secret_key=_read_key(path))


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings. Raises `SettingsError` naming the variable that is wrong or unknown."""
    environ = os.environ if environ is None else environ
    given = {
        name: value.strip() for name, value in environ.items() if name.startswith(PREFIX) and value.strip()
    }
    known = variable_names()
    unknown = sorted(
        name for name in given if name not in known and not name.startswith(("OTA_TEST_", "OTA_REQUIRE_"))
    )
    if unknown:
        raise SettingsError(f"{unknown[0]} is not a setting. docs/settings.md lists them all.")
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$.")
        raise SettingsError(f"{path.rstrip('`')}: {in_words(problem)}.") from error
    _check(settings)
    return settings


def variable_names() -> dict[str, Any]:
    """Every setting by the name of its variable, with its default."""
    return {field.encode_name: field.default for field in msgspec.structs.fields(Settings)}


def _check(settings: Settings) -> None:
    if settings.base_url and not _is_web_address(settings.base_url):
        raise SettingsError("OTA_BASE_URL: expected an address such as https://updates.example.com.")
    if settings.storage_url and not settings.storage_url.startswith("file:///"):
        raise SettingsError(
            "OTA_STORAGE_URL: expected file:///absolute/folder; other kinds of storage are not built yet."
        )
    scheme = settings.sqlalchemy_url.partition(":")[0]
    if scheme not in {"sqlite", "postgresql+psycopg"}:
        raise SettingsError(
            "OTA_DATABASE_URL: expected sqlite:///path or postgresql://user:password@host/name."
        )
    if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://")):
        raise SettingsError("OTA_REDIS_URL: expected redis://host:6379/0.")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", settings.admin_email):
        raise SettingsError("OTA_ADMIN_EMAIL: expected an e-mail address.")
    for name in ("login_limit", "report_limit", "check_limit"):
        try:
            limits.parse_many(getattr(settings, name))
        except ValueError:
            raise SettingsError(f"OTA_{name.upper()}: expected a rate such as 10 per minute.") from None
    if settings.smtp_url and not _is_mail_server(settings.smtp_url):
        raise SettingsError(
            "OTA_SMTP_URL: expected smtp://user:password@host:587 or smtps://user:password@host:465."
        )
    if settings.smtp_url and not unquote(urlsplit(settings.smtp_url).password or "").isascii():
        raise SettingsError(
            "OTA_SMTP_URL: the password has letters that no mail server is sent (ASCII alone). Choose another password."
        )
    if settings.smtp_url and not re.fullmatch(r"[!-~]+@[!-~]+", settings.mail_from):
        raise SettingsError(
            "OTA_MAIL_FROM: expected the e-mail address that alerts come from, such as updates@example.com."
        )
    if settings.secret_key and len(settings.secret_key) < 32:
        raise SettingsError("OTA_SECRET_KEY: expected at least 32 characters.")
    if settings.admin_password and len(settings.admin_password) < 10:
        raise SettingsError("OTA_ADMIN_PASSWORD: expected at least 10 characters.")
    if settings.admin_token and len(settings.admin_token) < 32:
        raise SettingsError("OTA_ADMIN_TOKEN: expected at least 32 characters.")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_mail_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_more = parts.path not in {"", "/"} or parts.query or parts.fragment
        return parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and parts.port != 0 and not has_more
    except ValueError:
        return False


def _read_key(path: Path) -> str:
    key = path.read_text().strip()
    if len(key) < 32:
        raise SettingsError(
            f"OTA_SECRET_KEY: {path} is damaged. Delete it (everybody has to log in again) or set the variable."
        )
    return key


def _write_key_once(path: Path) -> None:
    # Linked into place: two programs that start together end up with the same whole key.
    draft = path.with_name(f".secret_key.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
