"""The one way to fail. Services raise these; `ota.web.errors` turns them into JSON, a fragment or a page.

A ``code`` is stable and for programs; the message is one or two sentences for a person: what was wrong, what was
expected, what to do. Nothing here knows about HTTP.
"""

from __future__ import annotations

from typing import Any


class OtaError(Exception):
    """Base of every expected failure. ``details`` must be ready for JSON."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class Invalid(OtaError):
    """What was sent can't be read or isn't allowed. ``field`` in the details names the culprit where there is one."""


class NotFound(OtaError):
    """There is no such thing, or not for this caller."""


class Gone(OtaError):
    """It was there and was taken back on purpose."""


class Conflict(OtaError):
    """The thing has changed or is in another state. ``current`` in the details holds the present state."""


class Unauthenticated(OtaError):
    """Nobody is known to be calling."""


class Forbidden(OtaError):
    """The caller is known and may not."""


class TooMany(OtaError):
    """The caller has to slow down."""


class TooLarge(OtaError):
    """More bytes than allowed."""


class StorageFull(OtaError):
    """No room for more bytes."""


class Rejected(OtaError):
    """A build that can't become a version. The message is what the person who uploaded it reads."""
