"""The one way to fail. Verbs raise these errors; `ota.web.errors` turns them into JSON, a fragment or a page.

A ``code`` is stable and meant for programs. The message is one or two sentences for a person: what was wrong, what was
expected, what to do. Nothing here knows about HTTP.
"""

from __future__ import annotations

from typing import Any, Self


class OtaError(Exception):
    """Base of every expected failure. Values in ``details`` must be ready for JSON."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self._problem = message

    @classmethod
    def about(cls, field: str, code: str, problem: str, **details: Any) -> Self:
        """Make an error about one field. Its message reads ``field: problem``; a form shows the problem alone."""
        error = cls(code, f"{field}: {problem}", field=field, **details)
        error._problem = problem
        return error

    @property
    def field(self) -> str | None:
        """Name of the field that the error is about, if there is one."""
        found: str | None = self.details.get("field")
        return found

    @property
    def sentence(self) -> str:
        """The message as a form shows it next to its field: without the field's name."""
        return self._problem[:1].upper() + self._problem[1:]


class Invalid(OtaError):
    """The input can't be read or isn't allowed. ``field`` names the culprit where there is one."""


class NotFound(OtaError):
    """There is no such thing, or not for this caller."""


class Gone(OtaError):
    """It was there and was taken back on purpose."""


class Conflict(OtaError):
    """The thing has changed or is in another state. ``current`` in the details holds the present state."""


class Stale(Conflict):
    """Somebody else changed the row after the caller read it: the revision that was sent is no longer the present one."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__("stale_revision", message, **details)


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
