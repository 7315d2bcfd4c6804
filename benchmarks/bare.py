"""The bare callable: the least work of a Python server for an update check. Parse it, send a fixed answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ota.config import from_environment
from ota.machine.affinity import stay_on_one_core
from ota.web.operation import JSON, NOT_KEPT
from ota.web.security import headers
from ota.web.shapes import CheckRequest

SIZE = 560
"""Bytes of the answer, about as many as an offer with short notes has."""


def make() -> Any:
    """Return a WSGI application with the headers of the real one."""
    settings = from_environment()
    cores = settings.data_path / "tmp" / "bare"
    cores.mkdir(exist_ok=True)
    stay_on_one_core(cores)  # The same core as the real server: they are loaded in turn.
    decoder = msgspec.json.Decoder(CheckRequest)
    body = b'{"message":"' + b"x" * (SIZE - 14) + b'"}'
    always = [
        ("Content-Type", JSON),
        *NOT_KEPT.items(),
        *headers(settings).items(),
        ("Content-Length", str(SIZE)),
    ]

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        decoder.decode(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start_response("200 OK", list(always))
        return (body,)

    return answer
