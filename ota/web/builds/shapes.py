"""Shapes of the changelog and the preflight."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.web.shapes import ChannelName, Locale


class ChangelogQuery(Struct, kw_only=True):
    """Range and language of a changelog. Validated loosely, because an app can be newer than this server."""

    platform: Annotated[str, Meta(max_length=40, examples=["android"])]
    since: (
        Annotated[
            str,
            Meta(
                max_length=200,
                description="The device's current version. Its own notes are left out.",
                examples=["1.0.0+1"],
            ),
        ]
        | None
    ) = None
    app: (
        Annotated[str, Meta(max_length=60, description="Slug of the app. Default: the default app.")] | None
    ) = None
    channel: (
        Annotated[
            str,
            Meta(max_length=40, description="Channel that the device follows. Default: the default channel."),
        ]
        | None
    ) = None
    locale: Locale | None = None
    limit: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=100,
                description="Largest number of versions. Default: 20 without since, 100 with it.",
            ),
        ]
        | None
    ) = None


class ChangelogEntry(Struct, kw_only=True):
    """The release notes of one version."""

    version: str
    version_code: int
    release_notes: str | None
    is_mandatory: bool
    published_at: datetime | None


class ChangelogAnswer(Struct, kw_only=True):
    """The versions that are open to all devices, newest first."""

    ok: bool = True
    since: str | None
    latest_version: str | None
    versions: list[ChangelogEntry]


class CheckView(Struct, kw_only=True):
    """One check of the preflight."""

    name: str
    verdict: Annotated[str, Meta(description="pass, warn or block.")]
    message: str
    devices: Annotated[int, Meta(description="Number of active devices affected, if counted.")] | None


class PreflightAnswer(Struct, kw_only=True):
    """The checks before a version is published. If ``blocked``, publishing it is answered with 409."""

    channel: str
    blocked: bool
    checks: list[CheckView]
    ok: bool = True


class PreflightQuery(Struct, kw_only=True):
    """The channel to check for."""

    channel: ChannelName | None = None
