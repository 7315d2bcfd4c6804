"""Forms of the release page as they were sent. Each one can be shown again with its error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flask import request
from sqlalchemy.orm import Session

from ota.db import reader
from ota.errors import OtaError
from ota.models import Release
from ota.web import staleness
from ota.web.forms import ConfirmForm, Form, RolloutForm, seen_revision, show_error
from ota.web.releases.forms import PlanRow, TermsForm
from ota.web.staleness import StaleForm


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownForms:
    """What the release page shows instead of fresh forms: a form as it was sent, and its error."""

    rollout_form: RolloutForm | None = None
    terms: TermsForm | None = None
    rows: Sequence[PlanRow] | None = None
    plan_wrong: str | None = None
    problem: str | None = None
    stale: StaleForm | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """An act on a release. ``done`` is its message, with ``{}`` for the version.

    ``question`` and ``button`` offer to repeat the act after the release has changed.
    """

    do: Callable[[Session, Release, int], Release]
    done: str
    question: str = ""
    button: str = ""


class SentForm:
    """A form without fields of its own: a button."""

    def __init__(self, form: Form | None = None) -> None:
        self.revision = seen_revision(ConfirmForm() if form is None else form)

    def with_error(self, error: OtaError) -> ShownForms:
        """Return what the page shows after the act was refused."""
        return ShownForms(problem=error.message)

    def as_stale(self, release: Release, act: Act) -> ShownForms:
        """Return what the page shows after the release has changed: both states, and a way to act again."""
        return ShownForms(stale=_repeatable(release, self.revision, act))


class SentRollout(SentForm):
    """The form of the rollout."""

    def __init__(self, form: RolloutForm) -> None:
        super().__init__(form)
        self.form = form

    def with_error(self, error: OtaError) -> ShownForms:
        if error.field != "rollout":
            return super().with_error(error)
        show_error(self.form, error)
        return ShownForms(rollout_form=self.form)


class SentPlan(SentForm):
    """The rows of the plan, which have no fields of the form library."""

    def __init__(self, rows: Sequence[PlanRow]) -> None:
        super().__init__()
        self.rows = rows

    def with_error(self, error: OtaError) -> ShownForms:
        return ShownForms(rows=self.rows, plan_wrong=error.sentence)

    def as_stale(self, release: Release, act: Act) -> ShownForms:
        return replace(super().as_stale(release, act), rows=self.rows)


class SentTerms(SentForm):
    """The form of the terms. It is its own repetition: sent again, it replaces the present terms."""

    def __init__(self, form: TermsForm) -> None:
        super().__init__(form)
        self.form = form

    def with_error(self, error: OtaError) -> ShownForms:
        show_error(self.form, error)
        return ShownForms(terms=self.form)

    def as_stale(self, release: Release, act: Act) -> ShownForms:
        wanted = "What you typed is below. Save again to replace what is there now."
        stale = staleness.stale_release(reader(), release, self.revision, wanted=wanted)
        # The person has now seen the present state, so the form is based on the present revision.
        self.form.revision.data = str(release.revision)
        return ShownForms(terms=self.form, stale=stale)


def _repeatable(release: Release, revision: int | None, act: Act) -> StaleForm:
    left_out = {"csrf_token", "revision"}
    again = [(name, value) for name, value in request.form.items(multi=True) if name not in left_out]
    return staleness.stale_release(
        reader(),
        release,
        revision,
        action=request.path,
        question=act.question,
        button=act.button,
        again=again,
    )
