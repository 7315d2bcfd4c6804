"""Expected failures. Verbs raise these errors; `ota.web.errors` turns them into JSON, a fragment or a page.

A ``code`` is stable and meant for programs. The message is one or two sentences for a person: what failed,
what was expected, what to do. Nothing here knows about HTTP.
"""

from __future__ import annotations

from typing import Any, Self


class OtaError(Exception):
    """Base of every expected failure. Values in ``details`` must be valid in JSON."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self._problem = message

    @classmethod
    def about(cls, field: str, code: str, problem: str, **details: Any) -> Self:
        """Return an error about one field. Its message is ``field: problem``; forms show only the problem."""
        error = cls(code, f"{field}: {problem}", field=field, **details)
        error._problem = problem
        return error

    @property
    def field(self) -> str | None:
        """Name of the field that the error is about, or None."""
        found: str | None = self.details.get("field")
        return found

    @property
    def sentence(self) -> str:
        """The message for a form, next to the field: without the field's name."""
        return self._problem[:1].upper() + self._problem[1:]


class Invalid(OtaError):
    """Input that cannot be read or is not allowed. ``field`` names the field at fault, if it is one field."""


class NotFound(OtaError):
    """The thing does not exist, or not for this caller."""


class Gone(OtaError):
    """The thing existed and was removed on purpose."""


class Conflict(OtaError):
    """The thing changed, or is in another state. ``current`` in the details is its current state."""


class Stale(Conflict):
    """The row changed after the caller read it: the revision that was sent is no longer the current one."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__("stale_revision", message, **details)


class Unauthenticated(OtaError):
    """The caller is unknown."""


class Forbidden(OtaError):
    """The caller is known and lacks the permission."""


class TooMany(OtaError):
    """The caller exceeded a rate limit."""


class TooLarge(OtaError):
    """The input has more bytes than allowed."""


class StorageFull(OtaError):
    """The disk, or the share of it that reports can use, is full."""


class Rejected(OtaError):
    """A build that cannot become a version. The message is for the person who uploaded it."""
