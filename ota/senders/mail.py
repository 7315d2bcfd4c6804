"""One plain text e-mail through the server that the settings name."""

from __future__ import annotations

import smtplib
import ssl
import textwrap
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

TIMEOUT = 10.0
"""Seconds that the mail server has for each of its answers."""

MAX_SUBJECT = 150


class NotMailed(Exception):
    """The mail server did not take it. The message says why."""


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


def send(server_url: str, mail: Mail) -> str:
    """Hand it to ``smtp://user:password@host:587`` or ``smtps://...``; answers what the server said. Raises `NotMailed`.

    With ``smtp`` the connection is encrypted when the server offers that; a password is never sent without.
    """
    parts = urlsplit(server_url)
    host, is_secure = parts.hostname or "", parts.scheme == "smtps"
    port, context = parts.port or (465 if is_secure else 587), ssl.create_default_context()
    try:
        message = compose(mail)
        with (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context) if is_secure else smtplib.SMTP(host, port, timeout=TIMEOUT)
        ) as server:
            server.ehlo()
            if not is_secure and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                is_secure = True
            if parts.username is not None:
                if not is_secure:
                    raise NotMailed(
                        f"{host} offers no encryption, so the password is not sent to it. Use smtps, or leave the password out."
                    )
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotMailed(f"{host}:{port} did not take the e-mail: {error or type(error).__name__}.") from error
    return f"{host} took it."


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
