"""One e-mail in plain text through the given mail server."""

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
"""Seconds for each answer of the mail server."""

LIMIT = 30.0
"""Seconds for the whole conversation."""

MAX_SUBJECT = 150

_GOODBYE = 2.0


class NotMailed(Exception):
    """The mail server did not accept the mail. The message gives the reason.

    ``is_down``: it would accept no other mail either. ``is_final``: it will never accept this one.
    """

    def __init__(self, message: str, *, is_down: bool = False, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_down, self.is_final = is_down, is_final


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to send. ``key`` is the same in all tries, so that mail programs show one mail."""

    sender: str
    recipient: str
    subject: str
    text: str
    key: str
    at: datetime


def compose(mail: Mail) -> EmailMessage:
    """Return the message.

    Line breaks are removed from the subject, so that people's input cannot add headers.
    """
    message = EmailMessage()
    message["From"], message["To"] = mail.sender, mail.recipient
    message["Subject"] = textwrap.shorten(_one_line(mail.subject), MAX_SUBJECT, placeholder=" ...")
    message["Date"] = format_datetime(mail.at)
    message["Message-ID"] = f"<{mail.key}@{mail.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def send(server_url: str, mail: Mail, *, limit: float = LIMIT) -> str:
    """Send a mail through ``smtp://user:password@host:587`` or ``smtps://...``. Raises `NotMailed`.

    Returns a sentence for the delivery's answer. With ``smtp`` the connection is encrypted if the server
    offers that; a password is never sent without encryption. ``limit``: seconds for the conversation, after
    the server's address was resolved.
    """
    parts = urlsplit(server_url)
    is_secure, context = parts.scheme == "smtps", ssl.create_default_context()
    server = _Secure(context=context, timeout=TIMEOUT) if is_secure else _Plain(timeout=TIMEOUT)
    server.limit = limit
    port = parts.port or (465 if is_secure else 587)
    try:
        message = compose(mail)
        server.begin(parts.hostname or "", port)
        _log_in(server, parts, context, is_secure=is_secure)
        server.send_message(message)
        server.say_goodbye()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise _refusal(error, server, parts, f"{parts.hostname}:{port}", mail.recipient) from error
    finally:
        server.close()
        server.end_guard()
    return f"{parts.hostname} took it."


def _refusal(error: Exception, server: _Plain, parts: SplitResult, where: str, recipient: str) -> NotMailed:
    """Return the error for the caller.

    A refused recipient is final, and anything before the mail means down.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        sentence = f"{where} does not take e-mail for {recipient}: {code} {_text(answer)}"
        return NotMailed(sentence, is_final=code >= 500)
    refused = f"{where} did not take the e-mail:"
    if isinstance(error, smtplib.SMTPDataError):
        return NotMailed(f"{refused} {error.smtp_code} {_text(error.smtp_error)}")
    if isinstance(error, smtplib.SMTPResponseException):
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        text = _without_password(_text(error.smtp_error), user, password)
        return NotMailed(f"{refused} {error.smtp_code} {text}", is_down=True)
    problem = str(error) or type(error).__name__
    if server.is_late():
        problem = f"there was no answer within {server.limit:g} seconds"
    return NotMailed(f"{refused} {problem}.", is_down=True)


def _log_in(server: _Plain, parts: SplitResult, context: ssl.SSLContext, *, is_secure: bool) -> None:
    server.ehlo()
    if not is_secure and server.has_extn("starttls"):
        server.starttls(context=context)
        server.ehlo()
        is_secure = True
    if parts.username is None:
        return
    if not is_secure:
        raise NotMailed(
            f"{parts.hostname} offers no encryption, so the password is not sent to it. "
            "Use smtps, or leave the password out.",
            is_down=True,
        )
    server.login(unquote(parts.username), unquote(parts.password or ""))


class _Plain(smtplib.SMTP):
    """A conversation with a mail server that ends at a deadline. The library limits only each single read."""

    limit = LIMIT
    _guard: Guard | None = None
    _deadline = float("inf")

    def is_late(self) -> bool:
        """Return whether the deadline has passed."""
        return time.monotonic() >= self._deadline

    def begin(self, host: str, port: int) -> None:
        """Connect. Raises `SMTPConnectError` if the server does not greet."""
        self._host = host  # The name that the server's certificate must have.
        code, answer = self.connect(host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)

    def say_goodbye(self) -> None:
        """Quit. The mail was accepted, so errors no longer matter."""
        with contextlib.suppress(OSError, smtplib.SMTPException, ValueError):
            if self.sock is not None:
                self.sock.settimeout(_GOODBYE)
            self.quit()

    def end_guard(self) -> None:
        """Stop watching the deadline."""
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
    """The same with TLS from the start."""


def _text(answer: bytes | str) -> str:
    return _one_line(answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer)


def _without_password(answer: str, user: str, password: str) -> str:
    """Return a server's answer, unless it repeats the password, plain or encoded."""
    encoded = (b64encode(text.encode()).decode() for text in (password, f"\0{user}\0{password}"))
    if password and any(secret in answer for secret in (password, *encoded)):
        return "(its answer repeats the password)"
    return answer


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
