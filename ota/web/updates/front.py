"""What stands before Flask for one address: an update check that goes well is answered without it.

Everything else, also of that address, goes on to Flask with its body: whatever is refused is refused there, in one way.
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
    """A WSGI application before another one."""

    def __init__(self, app: Flask, settings: Settings, behind: WSGIApplication) -> None:
        self._answer = hot_path(app).answer
        self.behind = behind
        """What is asked when there is more to say than a plain answer."""

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
            # Asked once more, where failures are turned into answers.
            environ["wsgi.input"] = BytesIO(raw)
            return self.behind(environ, start_response)
        start_response("200 OK", [*self._headers, ("Content-Length", str(len(body)))])
        return (body,)


def _address(environ: WSGIEnvironment, proxies: int) -> str:
    """Who asks, as far as the proxies that are trusted say so: read as Werkzeug's ``ProxyFix`` reads it, which stands behind this."""
    if proxies:
        named = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(named) >= proxies and (found := named[-proxies].strip()):
            return str(found)
    return environ.get("REMOTE_ADDR") or ""


def _is_plain(environ: WSGIEnvironment) -> bool:
    """Is it a JSON body of a known and small size, and nothing beside it?"""
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
    """Stand before everything that is there already."""
    app.wsgi_app = Front(app, settings, app.wsgi_app)  # type: ignore[method-assign]
