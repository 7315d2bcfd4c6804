"""Headers that every answer carries."""

from __future__ import annotations

from flask import Flask, Response

from ota.config import Settings

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def headers(settings: Settings) -> dict[str, str]:
    """No inline code, no foreign hosts, no framing, no guessing of types."""
    found = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    if settings.public_url.startswith("https://"):
        found["Strict-Transport-Security"] = "max-age=31536000"
    return found


def init_app(app: Flask, settings: Settings) -> None:
    """Give every answer the headers, except where a view chose its own."""
    always = headers(settings)

    def add_headers(response: Response) -> Response:
        for name, value in always.items():
            response.headers.setdefault(name, value)
        if response.mimetype == "text/html":
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    app.after_request(add_headers)
