"""The contract, checked against `decide`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ota.core.catalog import Candidate, Catalog
from ota.core.channels import followed
from ota.core.decision import NoUpdate, Offer, Reason, UpdateQuery, decide
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.platforms import os_numbers
from ota.core.rollout import bucket
from ota.core.signers import SignerRange, break_in
from ota.core.versions import EXPECTED_FORM, parse_current_version
from tests.contract.cases import CASES, REFUSED
from tests.contract.rows import APP, BUCKETS, CHANNELS, GROUPS, SALT, Case, R

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_IDS = {name: number for number, name in enumerate(CHANNELS)}


def test_the_devices_have_the_buckets_that_the_table_needs() -> None:
    assert {device: bucket(SALT, device) for device in BUCKETS} == BUCKETS


def test_the_table_is_complete() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.reason for case in CASES} == {reason.value for reason in Reason}
    assert {case.device for case in CASES} >= {*BUCKETS, None, ""}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("at", [None, NOW], ids=["whole", "reduced"])
def test_the_function_keeps_the_contract(case: Case, at: datetime | None) -> None:
    catalog = _catalog(case, at)
    current, more = parse_current_version(case.current), case.more
    query = UpdateQuery(
        current,
        case.device,
        more.get("user_initiated", False),
        frozenset(map(_group, case.groups)),
        more.get("sdk"),
        os_numbers(more["os_version"]) if "os_version" in more else None,
        frozenset(more.get("abis", ())),
    )
    decision = decide(query, catalog, NOW)
    offered = decision.candidate.version_code if isinstance(decision, Offer) else None
    is_mandatory = isinstance(decision, Offer) and decision.is_mandatory
    assert (offered, decision.reason.value, is_mandatory) == (case.offers, case.reason, case.mandatory)
    assert (isinstance(decision, NoUpdate) and decision.is_blocked) is case.blocked
    assert catalog.has_withdrawn(current) is case.withdrawn


@pytest.mark.parametrize("text", REFUSED)
def test_other_texts_are_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(EXPECTED_FORM)):
        parse_current_version(text)


def _catalog(case: Case, at: datetime | None) -> Catalog:
    """Return the catalog that `ota.catalogs` would read from the rows."""
    known = [release for release in case.releases if release.platform == case.platform]
    live = [release for release in known if ReleaseState(release.state) in LIVE_STATES]
    fallbacks = {_IDS[name]: [_IDS[each] for each in others] for name, others in CHANNELS.items()}
    channels = followed(_IDS[case.channel], fallbacks, [_IDS[name] for name in case.shut_off if name != APP])
    offered = [
        (number, release) for number, release in enumerate(live, 1) if _IDS[release.channel] in channels
    ]
    live_codes = {release.code for release in live}
    return Catalog.of(
        [_candidate(number, release, known) for number, release in offered],
        is_shut_off=not {APP, case.channel}.isdisjoint(case.shut_off),
        withdrawn=[
            (release.code, release.version)
            for release in known
            if release.state == "withdrawn" and release.code not in live_codes
        ],
        in_use=[release.version for _, release in offered],
        at=at,
    )


def _candidate(number: int, release: R, known: Sequence[R]) -> Candidate:
    return Candidate(
        release_id=number,
        version_id=release.code,
        version=release.version,
        version_code=release.code,
        rollout=release.rollout,
        salt=SALT,
        state=ReleaseState(release.state),
        is_mandatory=release.mandatory,
        min_supported_version=release.minimum,
        starts_at=NOW + timedelta(seconds=release.starts_in),
        bucket_from=release.arm_from or 0,
        is_arm=release.arm_from is not None,
        groups=frozenset(map(_group, release.groups)),
        mandatory_from=None
        if release.mandatory_in is None
        else NOW + timedelta(seconds=release.mandatory_in),
        critical_from=release.critical_from,
        critical_below=release.critical_below,
        is_floor=release.floor,
        min_sdk=release.min_sdk,
        min_os=release.min_os,
        abis=frozenset(release.abis),
        refused_on=frozenset(
            each.code
            for each in known
            if each.code < release.code and break_in([_signers(each)], _signers(release))
        ),
        channel=release.channel,
    )


def _signers(release: R) -> tuple[SignerRange, ...]:
    if release.signer is None:
        return ()
    return (SignerRange(0, release.signer, (release.follows,) if release.follows else ()),)


def _group(name: str) -> int:
    return GROUPS.index(name)
