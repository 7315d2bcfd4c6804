"""Parts of an application, found by their type: settings, stores, limits, the journal."""

from __future__ import annotations

from typing import TypeVar, cast

from flask import Flask, current_app

T = TypeVar("T")

_KEY = "ota_parts"


def add_part(app: Flask, kind: type[T], part: T) -> None:
    """Register a part with the application. Each kind has one part; adding it again replaces it."""
    parts: dict[type, object] = app.extensions.setdefault(_KEY, {})
    parts[kind] = part


def part(kind: type[T], app: Flask | None = None) -> T:
    """Return a part of ``app``, or of the current application. Raises `KeyError` if there is none."""
    return cast(T, (app or current_app).extensions[_KEY][kind])
