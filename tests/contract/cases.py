"""The contract of the update check: releases, a device, the answer. Run against `decide` and against HTTP."""

from __future__ import annotations

from tests.contract import cases_fit, cases_mandatory, cases_reach, cases_versions

CASES = (*cases_versions.CASES, *cases_reach.CASES, *cases_fit.CASES, *cases_mandatory.CASES)

REFUSED = (
    "",
    " ",
    "latest",
    "1.0.0+",
    "+1",
    "1.0.0+x",
    "1.0.0+-1",
    "1.0.0 +1",
    "1..0",
    "1.0.0.0.0",
    "-1.0.0",
    "vv1.0.0",
    "1.0.0-",
    "1,0,0",
    "1.0.0+0x10",
    f"1.0.0+{2**63}",
    "\u0661.0.0",
    "1" * 101,
)
"""Texts that are not versions. They are refused with a message, never answered with "no update"."""
