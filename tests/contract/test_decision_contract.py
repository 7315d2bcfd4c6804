"""The table against the pure function."""

from datetime import UTC, datetime, timedelta

import pytest

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import NoUpdate, Offer, UpdateQuery, decide
from ota.core.lifecycle import ReleaseState
from ota.core.rollout import bucket
from ota.core.versions import parse_current_version
from tests.contract.cases import CASES, EARLY, LATE, SALT, Case

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_two_devices_are_where_the_table_needs_them() -> None:
    assert bucket(SALT, EARLY) < 1_000
    assert bucket(SALT, LATE) >= 1_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_function_keeps_the_contract(case: Case) -> None:
    catalog = Catalog.of(
        Candidate(
            release_id=number,
            version_id=number,
            version=release.version,
            version_code=release.code,
            rollout=release.rollout,
            salt=SALT,
            state=ReleaseState(release.state),
            is_mandatory=release.mandatory,
            min_supported_version=release.minimum,
            starts_at=NOW + timedelta(seconds=release.starts_in),
        )
        for number, release in enumerate(case.releases, 1)
    )
    query = UpdateQuery(parse_current_version(case.current), case.device, bool(case.more.get("user_initiated")))
    decision = decide(query, catalog, NOW)
    offered = decision.candidate.version_code if isinstance(decision, Offer) else None
    is_mandatory = isinstance(decision, Offer) and decision.is_mandatory
    assert (offered, decision.reason.value, is_mandatory) == (case.offers, case.reason, case.mandatory)
    assert (isinstance(decision, NoUpdate) and decision.is_blocked) is case.blocked
