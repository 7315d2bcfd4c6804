"""What is inside a build: a path goes in, `PackageFacts` come out, or `ota.errors.Rejected` says why not."""

from __future__ import annotations

from ota.packages.child import read_package
from ota.packages.facts import BuildFacts, PackageFacts
from ota.packages.reading import read_here

__all__ = ["BuildFacts", "PackageFacts", "read_here", "read_package"]
