"""The least that a Python server can do for an update check: parse it, answer what is always the same."""

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
"""Bytes of the answer: about what an offer with short notes has."""


def make() -> Any:
    """A WSGI application with the headers of the real one."""
    settings = from_environment()
    cores = settings.data_path / "tmp" / "bare"
    cores.mkdir(exist_ok=True)
    stay_on_one_core(cores)  # The one that the real server is on: they are loaded in turns.
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
