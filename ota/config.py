"""Settings, read once from the environment. An invalid value stops the start with an error that names it."""

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
    """An invalid or unknown setting. The message names the environment variable and the expected value."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: PREFIX + name.upper()):
    """All that differs between installations. Each field is read from the variable ``OTA_<NAME>``.

    Empty text means "not set": the properties below then return the default for one machine.
    """

    data_dir: str = ""
    """Folder for database, queue, journal and secrets; if set, also for builds. Default: ``instance/``."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8000
    """Port to listen on."""
    base_url: str = ""
    """Public address. Download addresses, links and QR codes start with it. Default: from host and port."""

    database_url: str = ""
    """``postgresql://user:password@host/name`` or ``sqlite:///path``. Default: SQLite in the data folder."""
    redis_url: str = ""
    """``redis://host:6379/0``, for the queue and the login counters. Default: a folder is the queue."""
    storage_url: str = ""
    """``file:///absolute/folder`` for builds. Default: ``uploads/``."""
    secret_key: str = ""
    """Signs sessions and share links, and keys the hashes of device ids. The same on all web servers.

    At least 32 characters. Default: generated once and kept in the data folder.
    """

    admin_email: str = "admin@localhost"
    """Login of the first administrator. Takes effect at the first start only."""
    admin_password: str = ""
    """Password of the first administrator, at least 10 characters. Default: generated and printed once."""
    admin_token: str = ""
    """First API token, at least 32 characters. Default: generated and printed once."""

    web_workers: Positive = 1
    """Number of web processes."""
    web_threads: Positive = 64
    """Threads per web process. A slow download occupies one."""
    web_affinity: bool = True
    """Keeps each web process on its own processor core, which doubles the update checks that it answers."""
    worker_processes: Positive = 2
    """Builds processed at the same time."""
    max_upload_bytes: Positive = 2 * 1024**3
    """Largest accepted build, in bytes."""
    lease_seconds: Positive = 60
    """Seconds until an upload held by a dead worker is processed again."""
    trusted_proxies: Count = 0
    """Number of reverse proxies whose ``X-Forwarded-*`` headers are trusted."""

    login_limit: str = "10 per minute"
    """Login attempts per client address and per account."""
    report_limit: str = "6000 per minute"
    """Accepted events and completions per client address."""
    check_limit: str = "60000 per minute"
    """Update checks per client address (IPv6: /64 network) that each web process counts. All are answered."""
    journal_bytes: Positive = 1024**3
    """Disk space for reports that wait to be counted, in bytes."""

    webhook_private: bool = False
    """Allows webhooks to private addresses, for an installation inside a company network."""
    smtp_url: str = ""
    """``smtp://user:password@host:587`` or ``smtps://user:password@host:465``. Default: no e-mail."""
    mail_from: str = ""
    """Sender address of alerts. Required with ``smtp_url``."""

    @property
    def data_path(self) -> Path:
        """Folder of the database, the queue and the secrets."""
        return Path(self.data_dir).resolve() if self.data_dir else ROOT / "instance"

    @property
    def storage_path(self) -> Path:
        """Folder that holds ``incoming/`` and ``artifacts/``."""
        if self.storage_url:
            return Path(unquote(urlsplit(self.storage_url).path))
        return self.data_path / "uploads" if self.data_dir else ROOT / "uploads"

    @property
    def incoming_path(self) -> Path:
        """Quarantine: uploaded files until a worker has read them."""
        return self.storage_path / "incoming"

    @property
    def worker_sign_path(self) -> Path:
        """The worker's sign of life. The supervisor restarts a worker that stops touching it."""
        return self.data_path / "worker.alive"

    @property
    def sender_sign_path(self) -> Path:
        """Sign of life of the process that sends alerts."""
        return self.data_path / "sender.alive"

    @property
    def resend_interval(self) -> float:
        """Seconds between two searches for uploads whose worker died or whose message was lost."""
        return max(1.0, min(10.0, self.lease_seconds / 4))

    @property
    def journal_path(self) -> Path:
        """Folder of checks and reports that wait to be counted."""
        return self.data_path / "journal"

    @property
    def queue_path(self) -> Path:
        """Folder of the queue when there is no Redis."""
        return self.data_path / "queue"

    @property
    def public_url(self) -> str:
        """Absolute address of this server for devices, without a trailing slash."""
        if self.base_url:
            return self.base_url.rstrip("/")
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def sqlalchemy_url(self) -> str:
        """Database address that names the installed driver."""
        url = self.database_url or f"sqlite:///{self.data_path / 'ota.db'}"
        for old in ("postgresql://", "postgres://"):
            if url.startswith(old):
                return "postgresql+psycopg://" + url.removeprefix(old)
        return url

    @property
    def broker_url(self) -> str:
        """Address of Celery's broker: Redis, or the folder transport."""
        return self.redis_url or "files://localhost//"

    def prepare_folders(self) -> None:
        """Create the folders that this machine needs.

        Only this user can open the data folder: it holds secrets.
        """
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
        """Return these settings with a secret key. If none is set, one is generated once and kept on disk."""
        if self.secret_key:
            return self
        path = self.data_path / "secret_key"
        if not path.exists():
            _write_key_once(path)
        return msgspec.structs.replace(self, secret_key=_read_key(path))


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings. Raises `SettingsError` naming the variable that is invalid or unknown."""
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
    """Return the default of every setting, by the name of its variable."""
    return {field.encode_name: field.default for field in msgspec.structs.fields(Settings)}


def _check(settings: Settings) -> None:
    _check_addresses(settings)
    _check_secrets(settings)
    if settings.smtp_url:
        _check_mail(settings)
    for name in ("login_limit", "report_limit", "check_limit"):
        try:
            limits.parse_many(getattr(settings, name))
        except ValueError:
            _demand(False, name, "a rate such as 10 per minute")


def _check_addresses(settings: Settings) -> None:
    base, storage, redis = settings.base_url, settings.storage_url, settings.redis_url
    scheme = settings.sqlalchemy_url.partition(":")[0]
    databases = "sqlite:///path or postgresql://user:password@host/name"
    folders = "file:///absolute/folder; other kinds of storage are not built yet"
    _demand(not base or _is_web_address(base), "base_url", "an address such as https://updates.example.com")
    _demand(not storage or storage.startswith("file:///"), "storage_url", folders)
    _demand(scheme in {"sqlite", "postgresql+psycopg"}, "database_url", databases)
    _demand(not redis or redis.startswith(("redis://", "rediss://")), "redis_url", "redis://host:6379/0")


def _check_mail(settings: Settings) -> None:
    servers = "smtp://user:password@host:587 or smtps://user:password@host:465"
    sender = "the e-mail address that alerts come from, such as updates@example.com"
    _demand(_is_mail_server(settings.smtp_url), "smtp_url", servers)
    password = unquote(urlsplit(settings.smtp_url).password or "")
    _demand(password.isascii(), "smtp_url", "a password of ASCII characters; mail servers take no others")
    _demand(bool(re.fullmatch(r"[!-~]+@[!-~]+", settings.mail_from)), "mail_from", sender)


def _check_secrets(settings: Settings) -> None:
    is_address = bool(re.fullmatch(r"[^@\s]+@[^@\s]+", settings.admin_email))
    _demand(is_address, "admin_email", "an e-mail address")
    for name, least in (("secret_key", 32), ("admin_password", 10), ("admin_token", 32)):
        value: str = getattr(settings, name)
        _demand(not value or len(value) >= least, name, f"at least {least} characters")


def _demand(is_valid: bool, name: str, expected: str) -> None:
    if not is_valid:
        raise SettingsError(f"{PREFIX}{name.upper()}: expected {expected}.")


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
            f"OTA_SECRET_KEY: {path} is damaged. "
            "Delete it (everybody has to log in again) or set the variable."
        )
    return key


def _write_key_once(path: Path) -> None:
    # A link appears whole or not at all: programs that start together get the same complete key.
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
