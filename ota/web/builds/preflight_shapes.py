"""Shapes of the preflight."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ota.web.shapes import ChannelName


class CheckView(Struct, kw_only=True):
    """One line of the preflight."""

    name: str
    verdict: Annotated[str, Meta(description="pass, warn or block.")]
    message: str
    devices: (
        Annotated[int, Meta(description="Active devices that it concerns, where that was counted.")] | None
    )


class PreflightAnswer(Struct, kw_only=True):
    """What was looked at before a version is published. Blocked: publishing it is answered with 409."""

    channel: str
    blocked: bool
    checks: list[CheckView]
    ok: bool = True


class PreflightQuery(Struct, kw_only=True):
    """On which channel."""

    channel: ChannelName | None = None
