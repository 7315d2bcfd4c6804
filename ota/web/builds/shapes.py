"""Shapes of the changelog and of the preflight."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.web.shapes import ChannelName, Locale


class ChangelogQuery(Struct, kw_only=True):
    """Which changes. Kept loose where a newer app may know more than this server."""

    platform: Annotated[str, Meta(max_length=40, examples=["android"])]
    since: (
        Annotated[
            str,
            Meta(
                max_length=200,
                description="What the device runs; its own notes are left out.",
                examples=["1.0.0+1"],
            ),
        ]
        | None
    ) = None
    app: (
        Annotated[str, Meta(max_length=60, description="Slug of the app; the default app without it.")] | None
    ) = None
    channel: (
        Annotated[
            str,
            Meta(max_length=40, description="Channel that the device follows; the default one without it."),
        ]
        | None
    ) = None
    locale: Locale | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="20 without since, else 100.")] | None = None


class ChangelogEntry(Struct, kw_only=True):
    """What is new in one version."""

    version: str
    version_code: int
    release_notes: str | None
    is_mandatory: bool
    published_at: datetime | None


class ChangelogAnswer(Struct, kw_only=True):
    """The versions that everybody can have, newest first."""

    ok: bool = True
    since: str | None
    latest_version: str | None
    versions: list[ChangelogEntry]


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
