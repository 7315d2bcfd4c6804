"""Webhooks and e-mail over TLS: they arrive with a valid certificate, and nothing is sent with any other."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ota.alerts.transports import http, mail
from tests.receivers import Receiver, receive_mail, receive_webhooks

LETTER = mail.Mail("a@example.com", "b@example.com", "Hello", "text", "k", datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate of "localhost", which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.fixture
def receiver(tls: ssl.SSLContext) -> Iterator[Receiver]:
    found = receive_webhooks(tls)
    yield found
    found.close()


@pytest.fixture(params=["smtps", "smtp"])
def postbox(request: pytest.FixtureRequest, tls: ssl.SSLContext) -> Iterator[tuple[str, Receiver]]:
    """A mail server with TLS from the start, and one with STARTTLS."""
    found = receive_mail(tls, starts_plain=request.param == "smtp")
    yield request.param, found
    found.close()


@pytest.mark.usefixtures("trusted")
def test_a_webhook_arrives_over_https(receiver: Receiver) -> None:
    answer = http.post(f"https://localhost:{receiver.port}/hook", b"{}", {"X-Try": "1"}, allows_private=True)
    assert (answer.status, answer.text) == (200, "thanks")
    assert [(each.path, each.body, each.headers["Host"]) for each in receiver.requests] == [
        ("/hook", b"{}", f"localhost:{receiver.port}")
    ]


def test_a_certificate_that_nobody_vouches_for_gets_no_webhook(receiver: Receiver) -> None:
    with pytest.raises(http.NotSent, match="CERTIFICATE_VERIFY_FAILED"):
        http.post(f"https://localhost:{receiver.port}/hook", b"{}", {}, allows_private=True)
    assert receiver.requests == []


@pytest.mark.usefixtures("trusted")
def test_the_certificate_of_another_name_gets_no_webhook(receiver: Receiver) -> None:
    with pytest.raises(http.NotSent, match=r"IP address mismatch"):
        http.post(f"https://127.0.0.1:{receiver.port}/hook", b"{}", {}, allows_private=True)
    assert receiver.requests == []


@pytest.mark.usefixtures("trusted")
def test_mail_and_password_go_through_tls(postbox: tuple[str, Receiver]) -> None:
    scheme, receiver = postbox
    assert mail.send(f"{scheme}://user:p%40ss@localhost:{receiver.port}", LETTER)
    assert receiver.mails[0]["Subject"] == "Hello"
    assert "AUTH PLAIN " + b64encode(b"\0user\0p@ss").decode() in receiver.envelopes
    assert ("STARTTLS" in receiver.envelopes) == (scheme == "smtp")


def test_a_mail_server_that_nobody_vouches_for_gets_neither_mail_nor_password(
    postbox: tuple[str, Receiver],
) -> None:
    scheme, receiver = postbox
    with pytest.raises(mail.NotMailed, match="CERTIFICATE_VERIFY_FAILED"):
        mail.send(f"{scheme}://user:password@localhost:{receiver.port}", LETTER)
    assert receiver.mails == []
    assert not any(line.startswith(("AUTH", "rcpt", "mail")) for line in receiver.envelopes)
