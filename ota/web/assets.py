"""Static files, icons and QR codes for templates."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import segno
from flask import url_for
from markupsafe import Markup

from ota.config import ROOT


def icon(name: str) -> Markup:
    """Return an icon of the sprite. It is decoration: the words next to it have the same meaning."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        asset("vendor/lucide/sprite.svg"), name
    )


def asset(name: str) -> str:
    """Return the address of a static file, with its digest, so that browsers can cache it for a year."""
    return url_for("static", filename=name, v=_digest(ROOT / "static" / name))


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def qr_code(text: str) -> Markup:
    """Return a QR code as inline SVG. It is dark on light in both color schemes, as cameras need."""
    drawing = segno.make_qr(text, error="m").svg_inline(
        omitsize=True, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None
    )
    return Markup('<div class="qr" role="img" aria-label="QR code of {}">{}</div>').format(
        text,
        Markup(drawing),  # noqa: S704
    )
