"""One plain text e-mail through the server that the settings name."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import textwrap
import time
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import SplitResult, unquote, urlsplit

from ota.alerts.transports.connect import Guard, addresses_of, connect

TIMEOUT = 10.0
"""Seconds that the mail server has for each of its answers."""

LIMIT = 30.0
"""Seconds for all of them together."""

MAX_SUBJECT = 150


_GOODBYE = 2.0


class NotMailed(Exception):
    """The mail server did not take it. The message says why.

    ``is_down``: it would take no other mail either. ``is_final``: it will never take this one.
    """

    def __init__(self, message: str, *, is_down: bool = False, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_down, self.is_final = is_down, is_final


@dataclass(frozen=True, slots=True)
class Mail:
    """What is sent. ``key`` is the same in all tries, so that mail programs see one mail."""

    sender: str
    recipient: str
    subject: str
    text: str
    key: str
    at: datetime


def compose(mail: Mail) -> EmailMessage:
    """The message. A line break in what people typed can't become a header: they are taken out, and the library refuses the rest."""
    message = EmailMessage()
    message["From"], message["To"] = mail.sender, mail.recipient
    message["Subject"] = textwrap.shorten(_one_line(mail.subject), MAX_SUBJECT, placeholder=" ...")
    message["Date"] = format_datetime(mail.at)
    message["Message-ID"] = f"<{mail.key}@{mail.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def send(server_url: str, mail: Mail, *, limit: float = LIMIT) -> str:
    """Hand it to ``smtp://user:password@host:587`` or ``smtps://...``; answers what the server said. Raises `NotMailed`.

    With ``smtp`` the connection is encrypted when the server offers that; a password is never sent without. ``limit``: seconds for the
    whole of it, once the server's address is known.
    """
    parts = urlsplit(server_url)
    is_secure, context = parts.scheme == "smtps", ssl.create_default_context()
    server = _Secure(context=context, timeout=TIMEOUT) if is_secure else _Plain(timeout=TIMEOUT)
    server.limit = limit
    where = f"{parts.hostname}:{parts.port or (465 if is_secure else 587)}"
    try:
        message = compose(mail)
        server.begin(parts.hostname or "", parts.port or (465 if is_secure else 587))
        _log_in(server, parts, context, is_secure=is_secure)
        server.send_message(message)
        server.say_goodbye()
    except smtplib.SMTPRecipientsRefused as error:
        code, answer = next(iter(error.recipients.values()))
        raise NotMailed(
            f"{where} does not take e-mail for {mail.recipient}: {code} {_text(answer)}", is_final=code >= 500
        ) from error
    except smtplib.SMTPDataError as error:
        raise NotMailed(
            f"{where} did not take the e-mail: {error.smtp_code} {_text(error.smtp_error)}"
        ) from error
    except smtplib.SMTPResponseException as error:
        said = _without(_text(error.smtp_error), unquote(parts.username or ""), unquote(parts.password or ""))
        raise NotMailed(f"{where} did not take the e-mail: {error.smtp_code} {said}", is_down=True) from error
    except (OSError, smtplib.SMTPException, ValueError) as error:
        why = (
            f"there was no answer within {limit:g} seconds"
            if server.is_late()
            else str(error) or type(error).__name__
        )
        raise NotMailed(f"{where} did not take the e-mail: {why}.", is_down=True) from error
    finally:
        server.close()
        server.end_guard()
    return f"{parts.hostname} took it."


def _log_in(server: _Plain, parts: SplitResult, context: ssl.SSLContext, *, is_secure: bool) -> None:
    server.ehlo()
    if not is_secure and server.has_extn("starttls"):
        server.starttls(context=context)
        server.ehlo()
        is_secure = True
    if parts.username is None:
        return
    if not is_secure:
        said = f"{parts.hostname} offers no encryption, so the password is not sent to it. Use smtps, or leave the password out."
        raise NotMailed(said, is_down=True)
    server.login(unquote(parts.username), unquote(parts.password or ""))


class _Plain(smtplib.SMTP):
    """A conversation with a mail server that ends in time: the library bounds each read, and a server may dribble."""

    limit = LIMIT
    _guard: Guard | None = None
    _deadline = float("inf")

    def is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def begin(self, host: str, port: int) -> None:
        self._host = host  # The name that the server's certificate must have.
        code, said = self.connect(host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)

    def say_goodbye(self) -> None:
        """The mail has been taken: what the server says to that no longer matters."""
        with contextlib.suppress(OSError, smtplib.SMTPException, ValueError):
            if self.sock is not None:
                self.sock.settimeout(_GOODBYE)
            self.quit()

    def end_guard(self) -> None:
        if self._guard is not None:
            self._guard.close()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        addresses = addresses_of(host, port)
        self._deadline = time.monotonic() + self.limit
        wire = connect(addresses, port, min(self._deadline, time.monotonic() + timeout))
        self._guard = Guard(wire, self._deadline)
        wire.settimeout(timeout)
        return wire


class _Secure(smtplib.SMTP_SSL, _Plain):
    """The same with TLS from the beginning."""


def _text(said: bytes | str) -> str:
    return _one_line(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)


def _without(said: str, user: str, password: str) -> str:
    """What a server says, unless it repeats the password."""
    secrets = {password, *(b64encode(each.encode()).decode() for each in (password, f"\0{user}\0{password}"))}
    return "(its answer repeats the password)" if password and any(each in said for each in secrets) else said


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
