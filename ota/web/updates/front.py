"""The WSGI application before Flask: it answers successful update checks without it.

All other requests go on to Flask, and so do checks that fail: errors are answered in one place.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from flask import Flask

from ota.clock import utcnow
from ota.config import Settings
from ota.web.operation import JSON, MAX_BODY_BYTES, NOT_KEPT
from ota.web.security import headers
from ota.web.updates.hot_path import hot_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/api/updates/check"


class Front:
    """Answers plain update checks, and passes other requests to the application behind it."""

    def __init__(self, app: Flask, settings: Settings, behind: WSGIApplication) -> None:
        self._answer = hot_path(app).answer
        self.behind = behind
        """The application that answers all other requests."""
        self._proxies = settings.trusted_proxies
        self._headers = [("Content-Type", JSON), *NOT_KEPT.items(), *headers(settings).items()]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST" or not _is_plain(environ):
            return self.behind(environ, start_response)
        raw, length = b"", int(environ["CONTENT_LENGTH"])
        try:
            raw = environ["wsgi.input"].read(length)
            if len(raw) != length:
                raise EOFError
            body = self._answer(raw, utcnow(), _address(environ, self._proxies))
        except Exception:
            # Flask answers again, and turns the error into an answer.
            environ["wsgi.input"] = BytesIO(raw)
            return self.behind(environ, start_response)
        start_response("200 OK", [*self._headers, ("Content-Length", str(len(body)))])
        return (body,)


def _address(environ: WSGIEnvironment, proxies: int) -> str:
    """The client's address, from the trusted proxies.

    Reads the header as Werkzeug's ``ProxyFix`` does in Flask.
    """
    if proxies:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= proxies and (found := forwarded[-proxies].strip()):
            return str(found)
    return environ.get("REMOTE_ADDR") or ""


def _is_plain(environ: WSGIEnvironment) -> bool:
    """Whether the request has a JSON body of a known, small size, and no query."""
    length, content_type = environ.get("CONTENT_LENGTH") or "", environ.get("CONTENT_TYPE") or ""
    return (
        (content_type == JSON or content_type.startswith(JSON + ";"))
        and length.isdecimal()
        and length.isascii()
        and len(length) < 8
        and int(length) <= MAX_BODY_BYTES
        and not environ.get("QUERY_STRING")
        and "HTTP_TRANSFER_ENCODING" not in environ
    )


def init_app(app: Flask, settings: Settings) -> None:
    """Put the front before the application."""
    app.wsgi_app = Front(app, settings, app.wsgi_app)  # type: ignore[method-assign]
