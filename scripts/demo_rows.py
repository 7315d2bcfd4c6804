"""What all parts of the made-up fleet share."""

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
    """The devices of an app on a platform. ``seen`` is when each asked last; ``shown`` the number of the one that has a story."""

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
        """courier-android-7 and the like."""
        return f"{self.app}-{self.platform}-{number}"

    def hash_of(self, number: int) -> str:
        return hashed(self.id_of(number))


def store(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert them, also none."""
    if rows:
        session.execute(insert(model), list(rows))


def running(version: Version) -> str:
    """A version as devices say that they run it."""
    return f"{version.version}+{version.version_code}"


def of(app_id: int, fleet: Fleet, **more: Any) -> dict[str, Any]:
    """A row of this app and platform."""
    return {"app_id": app_id, "platform": fleet.platform, **more}
