"""The corpus of signed APKs: importing the cases puts them into `CASES`."""

from __future__ import annotations

from tests.packages import broken_cases, valid_cases
from tests.packages.cases import CASES, VALID, Case

__all__ = ["CASES", "VALID", "Case", "broken_cases", "valid_cases"]
