"""Readers of builds (APK and IPA), which return the `PackageFacts` of a file or raise `Rejected`."""

from __future__ import annotations

from ota.packages.child import read_package
from ota.packages.facts import BuildFacts, PackageFacts
from ota.packages.reading import read_here

__all__ = ["BuildFacts", "PackageFacts", "read_here", "read_package"]
