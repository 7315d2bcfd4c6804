"""Shapes of share links."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.web.shapes import AppSlug


class ShareLinksQuery(Struct, kw_only=True):
    """The app whose links are listed."""

    app: AppSlug | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class ShareLinkRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The link to create."""

    name: Annotated[
        str,
        Meta(
            min_length=1, max_length=80, description="Who the link is for.", examples=["Testers in Utrecht"]
        ),
    ]
    days: Annotated[int, Meta(ge=1, le=365, description="Days until the link expires.")] = 30
    password: (
        Annotated[str, Meta(min_length=6, max_length=256, description="Asked for when the link is opened.")]
        | None
    ) = None
    app: AppSlug | None = None


class ShareLinkView(Struct, kw_only=True):
    """A share link. ``url`` is the address that people open; ``state`` is active, expired or revoked."""

    id: int
    app: str
    name: str
    url: str
    state: str
    has_password: bool
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    views: Annotated[int, Meta(description="Number of times the page was shown.")]
    downloads: Annotated[int, Meta(description="Number of installations that were begun.")]


class ShareLinkAnswer(Struct, kw_only=True):
    """One link, its address, and a message about what was done."""

    ok: bool = True
    url: str
    share_link: ShareLinkView
    message: str


class ShareLinksAnswer(Struct, kw_only=True):
    """A list of links."""

    ok: bool = True
    share_links: list[ShareLinkView]
