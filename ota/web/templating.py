"""Filters and functions of templates."""

from __future__ import annotations

from flask import Flask

from ota.web import assets, charts, formats, words
from ota.web.frame import page_context


def init_app(app: Flask) -> None:
    """Register filters, functions, and the variables of every page."""
    app.jinja_env.filters.update(formats.FILTERS)
    app.jinja_env.filters.update(words.FILTERS)
    app.jinja_env.globals.update(
        asset=assets.asset,
        icon=assets.icon,
        version_pill=formats.version_pill,
        release_pill=formats.release_pill,
        upload_pill=formats.upload_pill,
        pill=formats.pill,
        qr_code=assets.qr_code,
        chart_bar=charts.bar,
        chart_interval=charts.interval,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(page_context)
