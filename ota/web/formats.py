"""Sizes, times and states in templates."""

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
    """Return a size such as 24.8 MB, with the exact bytes on hover."""
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
    """Return a time that browsers show as "3 h ago", with the exact time in the local zone on hover."""
    if when is None:
        return Markup('<span class="quiet">never</span>')
    exact = when.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        exact.strftime("%Y-%m-%dT%H:%M:%SZ"),
        exact.strftime("%Y-%m-%d %H:%M:%S"),
        _ago((utcnow() - exact).total_seconds()),
    )


def is_past(when: datetime) -> bool:
    """Return whether the time has come."""
    return when <= utcnow()


def day(when: datetime) -> str:
    """Return a date such as 3 March 2026, in UTC, for pages without scripts."""
    return f"{when.day} {when:%B %Y}"


def _ago(seconds: float) -> str:
    if seconds < -10:
        return f"in {ahead(-seconds)}"
    for limit, divisor, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return "just now" if seconds < 10 else f"{int(seconds // divisor)} {unit} ago"
    return f"{int(seconds // 86_400)} d ago"


def percent(basis_points: int) -> str:
    """Return 10 % for 1000 basis points."""
    return f"{basis_points / 100:g} %"


def short_digest(digest: str | None) -> str:
    """Return the beginning and the end of a digest."""
    return f"{digest[:10]}…{digest[-4:]}" if digest else ""


def platform_label(platform: str) -> str:
    """Return the platform's name for people."""
    return Platform(platform).label


def pill(label: str, tone: str) -> Markup:
    """Return a state as a word with a color. Tones: good, busy, warn, bad, quiet."""
    return Markup('<span class="pill pill-{}">{}</span>').format(tone, label)


def release_pill(release: Release) -> Markup:
    """Return the state of a release."""
    state = ReleaseState(release.state)
    if state is ReleaseState.ACTIVE:
        return _active_pill(release)
    tone = {ReleaseState.PAUSED: "warn", ReleaseState.HALTED: "bad"}.get(state, "quiet")
    return pill(state.value.replace("_", " "), tone)


def _active_pill(release: Release) -> Markup:
    is_full, share = release.rollout == FULL, percent(release.rollout)
    if release.starts_at > utcnow():
        return pill("scheduled", "busy")
    if release.channel.is_shut_off or release.channel.app.is_shut_off:
        return pill("shut off" if is_full else f"shut off ({share})", "bad")
    return pill("live" if is_full else f"live {share}", "good")


def version_pill(version: Version, offered: Collection[Release] | None = None) -> Markup:
    """Return the state of the version's newest live release, or the end of its last one.

    ``offered``: the releases that devices can still be offered. A version without one of them is superseded.
    """
    live = next((release for release in version.releases if release.is_live), None)
    if live is not None:
        is_offered = offered is None or any(release.version_id == version.id for release in offered)
        return release_pill(live) if is_offered else pill("superseded", "quiet")
    if version.withdrawn_at is not None:
        return pill("withdrawn", "quiet")
    return release_pill(version.releases[0]) if version.releases else pill("inactive", "quiet")


def upload_pill(upload: Upload) -> Markup:
    """Return the status of an upload."""
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
