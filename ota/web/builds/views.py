"""Views of builds: from preflight checks to shapes."""

from __future__ import annotations

from ota.core.preflight import PreflightCheck, is_blocked
from ota.web.builds.shapes import CheckView, PreflightAnswer


def preflight_answer(channel: str, checks: list[PreflightCheck]) -> PreflightAnswer:
    views = [
        CheckView(name=each.name, verdict=each.verdict, message=each.message, devices=each.devices)
        for each in checks
    ]
    return PreflightAnswer(channel=channel, blocked=is_blocked(checks), checks=views)
