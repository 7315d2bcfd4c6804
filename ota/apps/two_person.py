"""The two-person rule of a channel: opening a release above its threshold needs another person's approval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ota.core.plans import needs_approval
from ota.errors import OtaError
from ota.models import Channel


@dataclass(frozen=True, slots=True)
class Approval:
    """Proof that another person approved an act. Only `ota.approvals` makes one."""

    proposal_id: int


class NeedsApproval(OtaError):
    """The act needs another person's approval, and nothing was written.

    ``kind`` and ``payload`` are enough to do the act after the approval.
    """

    def __init__(self, kind: str, channel: Channel, summary: str, payload: Mapping[str, Any]) -> None:
        threshold = f"{(channel.approval_above or 0) / 100:g} %"
        super().__init__(
            "needs_approval",
            f"Releases on {channel.name} above {threshold} need another person's approval.",
        )
        self.kind, self.channel, self.summary = kind, channel, summary
        self.payload: dict[str, Any] = msgspec.to_builtins(dict(payload))


def demand(
    kind: str,
    channel: Channel,
    reach: int,
    approval: Approval | None,
    summary: str,
    payload: Mapping[str, Any],
) -> None:
    """Raise `NeedsApproval` if the channel's rule applies to ``reach`` (basis points) and nobody approved."""
    if approval is None and needs_approval(channel.approval_above, reach):
        raise NeedsApproval(
            kind, channel, f"{summary}: {reach / 100:g} % of the devices in the end.", payload
        )
