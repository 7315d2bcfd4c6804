"""Real receivers on loopback: of webhooks over HTTP, and of e-mail over SMTP."""

from __future__ import annotations

import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Requests that arrived, and their answers: ``status``, ``headers``, and ``write`` for the body."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    write: Callable[[Any], None] = lambda file: file.write(b"thanks")
    requests: list[Request] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[str] = field(default_factory=list)
    replies: dict[bytes, str] = field(default_factory=dict)
    """Replies of a mail server to verbs (their first four letters) instead of success. Empty: none."""

    server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?team=1"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def receive_webhooks(tls: ssl.SSLContext | None = None) -> Receiver:
    """Start a web server that keeps the requests posted to it."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(Request(self.path, dict(self.headers), body))
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                receiver.write(self.wfile)
            except OSError:
                return  # The sender has closed the connection.

        do_GET = do_POST  # noqa: N815  Named by the library.

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Quiet: a client that rejects the certificate closes the connection."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return _run(receiver, server)


def receive_mail(tls: ssl.SSLContext | None = None, *, starts_plain: bool = False) -> Receiver:
    """Start a mail server that accepts every mail.

    It works without TLS, with TLS from the start, or with STARTTLS (``starts_plain``). With TLS it accepts
    every password.
    """
    receiver = Receiver()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 ready")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                receiver.envelopes.append(line.decode().strip())
                if verb in receiver.replies:
                    if receiver.replies[verb]:
                        self.say(receiver.replies[verb])
                    continue
                if verb == b"EHLO" and tls is not None:
                    self.say("250-here")
                    self.say(
                        "250 STARTTLS"
                        if starts_plain and not isinstance(self.connection, ssl.SSLSocket)
                        else "250 AUTH PLAIN"
                    )
                    continue
                if verb == b"STAR" and tls is not None:
                    self.say("220 go on")
                    self.secure(tls)
                    continue
                if verb == b"AUTH":
                    self.say("235 welcome")
                    continue
                if verb == b"DATA":
                    self.say("354 go on")
                    lines = []
                    while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                        lines.append(part)
                    receiver.mails.append(BytesParser(policy=default).parsebytes(b"".join(lines)))  # type: ignore[arg-type]
                self.say("221 bye" if verb == b"QUIT" else "250 fine")
                if verb == b"QUIT":
                    return

        def secure(self, with_: ssl.SSLContext) -> None:
            self.connection = with_.wrap_socket(self.request, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)  # type: ignore[assignment]

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Quiet: a client that rejects the certificate closes the connection."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None and not starts_plain:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return _run(receiver, server)


def byte_by_byte(file: Any) -> None:
    """A body that arrives one byte at a time, for a minute."""
    for _ in range(600):
        file.write(b".")
        file.flush()
        time.sleep(0.1)


def endless(file: Any) -> None:
    """A body that is sent as fast as the other side reads."""
    while True:
        file.write(b"x" * 65536)


def _run(receiver: Receiver, server: Any) -> Receiver:
    receiver.server, receiver.port = server, server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return receiver
