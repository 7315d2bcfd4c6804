"""The catalog: reduced to the releases that matter, it gives the same answers as the whole history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import UpdateQuery, decide, latest_for_everybody
from ota.core.versions import parse_current_version
from tests.core.cases import NOW, histories, many, queries, releases

History = Sequence[Candidate]
LATER = st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(hours=1), timedelta(days=2)])


@many
@given(st.lists(queries, min_size=5, max_size=5), histories, LATER)
def test_a_reduced_catalog_decides_as_the_whole_one(
    asked: list[UpdateQuery], history: History, later: timedelta
) -> None:
    whole, reduced = Catalog.of(history), Catalog.of(history, at=NOW)
    for query in asked:
        assert decide(query, reduced, NOW + later) == decide(query, whole, NOW + later)
    assert latest_for_everybody(reduced, NOW + later) == latest_for_everybody(whole, NOW + later)


@many
@given(queries, st.sampled_from([None, "", *(f"d{n}" for n in range(12))]), histories, LATER, LATER)
def test_devices_with_the_same_draws_and_stage_get_the_same_answer(
    query: UpdateQuery, other: str | None, history: History, first: timedelta, second: timedelta
) -> None:
    for catalog in (Catalog.of(history), Catalog.of(history, at=NOW)):
        is_drawn_alike = catalog.drawn(query.device_id) == catalog.drawn(other)
        if is_drawn_alike and catalog.stage(NOW + first) == catalog.stage(NOW + second):
            decision = decide(query._replace(device_id=other), catalog, NOW + second)
            assert decide(query, catalog, NOW + first) == decision


@many
@given(histories)
def test_reducing_twice_changes_nothing(history: History) -> None:
    once = Catalog.of(history, at=NOW)
    assert Catalog.of(once.candidates, at=NOW) == once


@many
@given(queries, histories, releases)
def test_a_preview_with_a_release_decides_as_a_catalog_that_has_it(
    query: UpdateQuery, history: History, release: Candidate
) -> None:
    added = replace(release, release_id=10**6 + 1)
    assert decide(query, Catalog.of(history).with_release(added), NOW) == decide(
        query, Catalog.of([*history, added]), NOW
    )


def test_a_long_history_costs_nothing() -> None:
    history = [
        Candidate(
            release_id=n,
            version_id=n,
            version=f"1.{n}.0",
            version_code=n,
            rollout=10_000,
            salt="a",
            min_supported_version="1.0.0",
        )
        for n in range(1, 1_001)
    ]
    assert [c.version_code for c in Catalog.of(history, at=NOW).candidates] == [1_000]


@given(histories, st.integers(0, 9))
def test_a_withdrawn_version_is_known_by_its_code_or_its_name(history: History, code: int) -> None:
    catalog = Catalog.of(history, withdrawn=[(code, f"1.{code}.0"), (77, "spring")], in_use=["1.3.0"])
    assert catalog.has_withdrawn(parse_current_version(f"0.0.1+{code}"))
    assert not catalog.has_withdrawn(parse_current_version(f"1.{code}.0+{code + 1}"))
    assert catalog.has_withdrawn(parse_current_version(f"1.{code}")) is (code != 3)
