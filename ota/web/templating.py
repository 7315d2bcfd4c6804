"""What templates can call: sizes, times, states, addresses of static files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import segno
from flask import Flask, g, render_template, request, session, url_for
from flask_login import current_user
from markupsafe import Markup

from ota import approvals
from ota.apps import apps, kill_switch
from ota.clock import utcnow
from ota.config import ROOT
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access, Role, may
from ota.core.platforms import Platform
from ota.core.rollout import FULL
from ota.db import reader
from ota.models import App, Release, Upload, Version
from ota.web import charts, wording, words
from ota.web.views import public_url

ACTIONS = {
    "app.created": "created the app",
    "app.install_access_changed": "changed who may install",
    "app.keeping_changed": "changed what is kept of single devices",
    "app.made_default": "made it the default app",
    "app.package_pinned": "pinned the package id",
    "app.renamed": "renamed the app",
    "app.shut_off": "shut the app off",
    "app.signer_forgotten": "forgot the signer",
    "app.signer_pinned": "pinned the signer",
    "app.trust_changed": "changed what may be published",
    "app.turned_on": "turned the app on again",
    "channel.created": "made the channel",
    "channel.deleted": "deleted the channel",
    "channel.edited": "changed the channel",
    "channel.shut_off": "shut the channel off",
    "channel.turned_on": "turned the channel on again",
    "experiment.ended": "ended the experiment",
    "experiment.started": "started the experiment",
    "device.forgotten": "forgot a device",
    "group.created": "made the device group",
    "group.deleted": "deleted the device group",
    "group.devices_added": "put devices into the group",
    "group.devices_removed": "took devices out of the group",
    "group.renamed": "renamed the device group",
    "proposal.approved": "approved the proposal",
    "proposal.declined": "declined the proposal",
    "proposal.proposed": "asked for approval",
    "proposal.taken_back": "took the proposal back",
    "recipient.added": "added a recipient of e-mail",
    "recipient.removed": "removed a recipient of e-mail",
    "release.concluded": "ended the arm of the experiment",
    "release.edited": "changed the terms of the release",
    "release.halted": "halted the release",
    "release.found_bad": "found the release bad",
    "app.health_policy": "changed the health policy",
    "release.paused": "paused the release",
    "release.plan_step": "took the next step of the plan",
    "release.resumed": "resumed the release",
    "release.test_anew": "began a new test of the release's health",
    "release.rolled_back": "rolled the release back",
    "release.rollout_changed": "changed the rollout",
    "release.started": "published",
    "release.withdrawn": "withdrew the release",
    "share.created": "made the share link",
    "share.revoked": "revoked the share link",
    "upload.ready": "upload became a version",
    "upload.received": "uploaded a file",
    "upload.rejected": "upload was rejected",
    "version.created": "created the version",
    "version.deleted": "deleted the version",
    "version.edited": "edited the version",
    "version.profile_expiring": "noticed a profile about to expire",
    "version.withdrawn": "withdrew the version",
    "webhook.created": "made a webhook",
    "webhook.deleted": "deleted a webhook",
    "webhook.edited": "changed a webhook",
}


def init_app(app: Flask) -> None:
    """Register filters, functions and what every page knows."""
    app.jinja_env.filters.update(
        size=size,
        moment=moment,
        percent=percent,
        short=short_digest,
        platform=platform_label,
        action=action,
        day=day,
    )
    app.jinja_env.globals.update(
        asset=asset,
        icon=icon,
        version_pill=version_pill,
        release_pill=release_pill,
        upload_pill=upload_pill,
        pill=pill,
        qr_code=qr_code,
        chart_bar=charts.bar,
        chart_interval=charts.interval,
    )
    app.jinja_env.filters.update(wording.FILTERS)
    app.jinja_env.filters.update(words.FILTERS, is_past=is_past)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_page_context)


def render_page(page: str, fragment: str | None = None, **context: Any) -> str:
    """The page, or only its fragment when HTMX asked for that."""
    wants_fragment = (
        request.headers.get("HX-Request") == "true"
        and request.headers.get("HX-History-Restore-Request") != "true"
    )
    if fragment is not None and wants_fragment:
        return render_template(fragment, **context)
    return render_template(page, **context)


def start_of_page() -> int:
    """Where the asked page of a list begins; the first one for nonsense."""
    return min(max(0, request.args.get("start", 0, type=int)), 10**6)


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


def qr_code(text: str) -> Markup:
    """A QR code as an inline SVG of paths alone, dark on light in both colour schemes: cameras want it so."""
    drawing = segno.make_qr(text, error="m").svg_inline(
        omitsize=True, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None
    )
    return Markup('<div class="qr" role="img" aria-label="QR code of {}">{}</div>').format(
        text,
        Markup(drawing),  # noqa: S704
    )


def _ago(seconds: float) -> str:
    if seconds < -10:
        return f"in {words.ahead(-seconds)}"
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


def action(name: str) -> str:
    """An audit event's verb in words."""
    return ACTIONS.get(name, name.replace(".", " ").replace("_", " "))


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


def icon(name: str) -> Markup:
    """An icon of the sprite, for decoration: the words beside it say the same."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        asset("vendor/lucide/sprite.svg"), name
    )


def asset(name: str) -> str:
    """The address of a static file, with its digest so that browsers may keep it for a year."""
    return url_for("static", filename=name, v=_digest(ROOT / "static" / name))


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _page_context() -> dict[str, Any]:
    if g.get("is_failing") or not current_user.is_authenticated:
        return {"can_publish": False, "is_admin": False, "all_apps": [], "current_app_": None}
    role, known = Role(current_user.role), apps.everything(reader())
    current = _current_app(known)
    return {
        "can_publish": may(role, Access.PUBLISH),
        "is_admin": may(role, Access.ADMIN),
        "all_apps": known,
        "current_app_": current,
        "channels_off": kill_switch.channels_off(reader(), current.id) if current else (),
        "waiting": len(approvals.listed(reader(), current, only_open=True)) if current else 0,
        "base_url": public_url(),
    }


def _current_app(known: Sequence[App]) -> App | None:
    # On pages about no app the navigation stays with the one that was looked at last.
    in_view: App | None = g.get("app_in_view")
    if in_view is not None:
        session["app"] = in_view.slug
        return in_view
    return next((app for app in known if app.slug == session.get("app")), None)
