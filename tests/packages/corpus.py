"""The corpus of signed APKs: importing the modules of cases fills `CASES`, in this order."""

from __future__ import annotations

from tests.packages import broken_bits, broken_v1, broken_v2, broken_v3, broken_zip, valid_cases
from tests.packages.cases import CASES, VALID, Case

__all__ = [
    "CASES",
    "VALID",
    "Case",
    "broken_bits",
    "broken_v1",
    "broken_v2",
    "broken_v3",
    "broken_zip",
    "valid_cases",
]
