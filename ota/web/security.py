"""Security headers of every answer."""

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
    """Return headers that forbid inline code, foreign hosts, framing and type sniffing."""
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
    """Add the headers to every answer. A header that a view has set stays."""
    always = headers(settings)

    def add_headers(response: Response) -> Response:
        for name, value in always.items():
            response.headers.setdefault(name, value)
        if response.mimetype == "text/html":
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    app.after_request(add_headers)
