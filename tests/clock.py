"""Hold the server's clock still, for tests whose outcome depends on the time of day."""

from __future__ import annotations

import sys
from datetime import datetime

import pytest

from ota import clock


def hold_still(patch: pytest.MonkeyPatch, at: datetime) -> None:
    """Let every module of the server and of the tests read this time, until the test ends."""
    reads = clock.utcnow
    for name, module in list(sys.modules.items()):
        if name.startswith(("ota.", "tests.")) and getattr(module, "utcnow", None) is reads:
            patch.setattr(module, "utcnow", lambda: at)
