"""How templates show sizes, times and states."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from markupsafe import Markup

from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import Platform
from ota.core.rollout import FULL
from ota.models import Release, Upload, Version
from ota.web.words import ahead


def size(count: int | None) -> Markup:
    """24.8 MB, with the exact bytes on hover."""
    if count is None:
        return Markup('<span class="quiet">unknown</span>')
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    text = f"{value:.0f}" if unit == "B" else f"{value:.1f}"
    return Markup('<span class="number" title="{} bytes">{} {}</span>').format(f"{count:,}", text, unit)


def moment(when: datetime | None) -> Markup:
    """A time that the browser shows as "3 h ago", with the exact moment in the viewer's zone on hover."""
    if when is None:
        return Markup('<span class="quiet">never</span>')
    exact = when.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        exact.strftime("%Y-%m-%dT%H:%M:%SZ"),
        exact.strftime("%Y-%m-%d %H:%M:%S"),
        _ago((utcnow() - exact).total_seconds()),
    )


def is_past(when: datetime) -> bool:
    return when <= utcnow()


def day(when: datetime) -> str:
    """3 March 2026, in UTC, for pages that run no script."""
    return f"{when.day} {when:%B %Y}"


def _ago(seconds: float) -> str:
    if seconds < -10:
        return f"in {ahead(-seconds)}"
    for limit, divisor, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return "just now" if seconds < 10 else f"{int(seconds // divisor)} {unit} ago"
    return f"{int(seconds // 86_400)} d ago"


def percent(basis_points: int) -> str:
    """10 % from 1000 basis points."""
    return f"{basis_points / 100:g} %"


def short_digest(digest: str | None) -> str:
    return f"{digest[:10]}…{digest[-4:]}" if digest else ""


def platform_label(platform: str) -> str:
    return Platform(platform).label


def pill(label: str, tone: str) -> Markup:
    """A state in a word and a colour; tones: good, busy, warn, bad, quiet."""
    return Markup('<span class="pill pill-{}">{}</span>').format(tone, label)


def release_pill(release: Release) -> Markup:
    state = ReleaseState(release.state)
    if state is ReleaseState.ACTIVE and release.starts_at > utcnow():
        return pill("scheduled", "busy")
    if state is ReleaseState.ACTIVE and (release.channel.is_shut_off or release.channel.app.is_shut_off):
        return pill(
            "shut off" if release.rollout == FULL else f"shut off ({percent(release.rollout)})", "bad"
        )
    if state is ReleaseState.ACTIVE:
        return pill("live" if release.rollout == FULL else f"live {percent(release.rollout)}", "good")
    tone = {ReleaseState.PAUSED: "warn", ReleaseState.HALTED: "bad"}.get(state, "quiet")
    return pill(state.value.replace("_", " "), tone)


def version_pill(version: Version, offered: Collection[Release] | None = None) -> Markup:
    """The state of the newest release that stands, else how the last one ended.

    Where it is known what devices can still be ``offered``, a release that none of them reaches is superseded.
    """
    standing = next((release for release in version.releases if release.is_live), None)
    if standing is not None:
        is_reached = offered is None or any(release.version_id == version.id for release in offered)
        return release_pill(standing) if is_reached else pill("superseded", "quiet")
    if version.withdrawn_at is not None:
        return pill("withdrawn", "quiet")
    return release_pill(version.releases[0]) if version.releases else pill("inactive", "quiet")


def upload_pill(upload: Upload) -> Markup:
    tone = {"received": "busy", "processing": "busy", "ready": "good", "rejected": "bad"}[upload.status]
    return pill(upload.status, tone)


FILTERS = {
    "size": size,
    "moment": moment,
    "percent": percent,
    "short": short_digest,
    "platform": platform_label,
    "day": day,
    "is_past": is_past,
}
"""Filters of templates."""
