"""Helpers of the demo's fleet."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from ota.core.platforms import Platform
from ota.models import Version
from ota.models.base import Base
from ota.web.journal import hashed


@dataclass
class Fleet:
    """Devices of an app on a platform.

    ``seen``: last check of each; ``shown``: the one with a rich timeline.
    """

    app: str
    platform: Platform
    devices: int
    seed: int
    shown: int | None = None
    dice: random.Random = field(init=False)
    seen: dict[int, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def id_of(self, number: int) -> str:
        """Return an id such as courier-android-7."""
        return f"{self.app}-{self.platform}-{number}"

    def hash_of(self, number: int) -> str:
        """Return the keyed hash of a device's id."""
        return hashed(self.id_of(number))


def store(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, if there are any."""
    if rows:
        session.execute(insert(model), list(rows))


def running(version: Version) -> str:
    """Return a version in the form that devices report."""
    return f"{version.version}+{version.version_code}"


def of(app_id: int, fleet: Fleet, **more: Any) -> dict[str, Any]:
    """Return a row of this app and platform."""
    return {"app_id": app_id, "platform": fleet.platform, **more}
