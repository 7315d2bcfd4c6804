"""The reports of devices (checks, events and completions), and the numbers counted from them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from ota.core.platforms import Platform
from ota.core.telemetry import EventKind
from ota.models.base import Base, one_of

_BigKey = BigInteger().with_variant(Integer, "sqlite")
"""The type of a key beyond 32 bits. SQLite's own integer has 64."""


class JournalPosition(Base):
    """How far a segment of a journal was counted. Written with the counts, so that nothing counts twice."""

    __tablename__ = "journal_positions"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    position: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class UpdateCheck(Base):
    """One check, kept for a month. ``device_id`` is the keyed hash, or None if the app keeps no devices."""

    __tablename__ = "update_checks"
    __table_args__ = (Index("ix_update_checks_device", "app_id", "device_id"),)

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    app_id: Mapped[int]
    channel_id: Mapped[int]
    device_id: Mapped[str | None] = mapped_column(String(64))
    current_version: Mapped[str] = mapped_column(String(100))
    offered_version: Mapped[str | None] = mapped_column(String(50))
    release_id: Mapped[int | None]
    reason: Mapped[str] = mapped_column(String(30))
    platform: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(index=True)


class UpdateCompletion(Base):
    """A device moved from one version to another. Each move counts once.

    The device reported it, or (``is_inferred``) a later check showed it.
    """

    __tablename__ = "update_completions"
    __table_args__ = (
        UniqueConstraint(
            "app_id", "platform", "device_id", "from_version", "to_version", name="uq_update_completions_way"
        ),
    )

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    app_id: Mapped[int]
    device_id: Mapped[str] = mapped_column(String(64))
    from_version: Mapped[str] = mapped_column(String(100))
    to_version: Mapped[str] = mapped_column(String(100))
    platform: Mapped[str] = mapped_column(String(20))
    is_inferred: Mapped[bool] = mapped_column(default=False)
    completed_at: Mapped[datetime] = mapped_column(index=True)


class Event(Base):
    """Something that happened on a device.

    ``event_id`` comes from the app; repeats of one id count once. ``at`` is the time on the device's clock,
    corrected to be no later than ``received_at``. ``duration_ms`` is the duration, in milliseconds.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("app_id", "device_id", "event_id"),
        one_of("kind", EventKind),
        Index("ix_events_signature", "signature_id", "device_id"),
    )

    id: Mapped[int] = mapped_column(_BigKey, primary_key=True)
    app_id: Mapped[int]
    device_id: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(20))
    version_id: Mapped[int | None]
    release_id: Mapped[int | None]
    signature_id: Mapped[int | None]
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(index=True)


class FailureSignature(Base):
    """Failures of one version with the same kind and signature. ``sample`` is the first text, shortened."""

    __tablename__ = "failure_signatures"
    __table_args__ = (UniqueConstraint("version_id", "kind", "signature"), one_of("kind", EventKind))

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("app_versions.id"))
    kind: Mapped[str] = mapped_column(String(20))
    signature: Mapped[str] = mapped_column(String(200))
    sample: Mapped[str | None] = mapped_column(Text)
    events: Mapped[int] = mapped_column(default=0)
    devices: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class FailureCount(Base):
    """Failures of one group on one day (UTC): devices that had it for the first time, and all its events."""

    __tablename__ = "failure_counts"

    signature_id: Mapped[int] = mapped_column(
        ForeignKey("failure_signatures.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    devices: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)


class ReleaseDevice(Base):
    """One device's journey in one release, and its one vote (`ota.core.health_members`).

    ``is_control``: a device of the control group, which checked while the release was open to others only.
    Its ``version_code`` is the one that it runs; without ``is_control`` it is the release's own. A device
    that is let in later has rows of both kinds. A device of the control group has a row for each control day
    (``turn``), and its ``bucket`` says when it will be let in.

    Each time is the first one, except ``enrolled_at``: the last offer of the release while the device ran
    another version, or its check in the control group. ``left_at``: since when it runs another version.
    ``crashed_at``: its first failure other than of the installation itself.

    ``is_known``: it had checked before the release started; other devices vote in no test. ``is_drawn``: it
    is in the rollout because of its bucket; other devices do not vote against the control group.
    ``is_regular``: it normally checks. ``silent_at``: when it had been silent for as long as the policy says.
    Both are None until they are evaluated.
    """

    __tablename__ = "release_devices"
    __table_args__ = (
        Index("ix_release_devices_device", "device_id"),
        Index("ix_release_devices_enrolled", "release_id", "enrolled_at"),
    )

    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    device_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    is_control: Mapped[bool] = mapped_column(primary_key=True)
    turn: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, default=0, server_default=text("0")
    )
    version_code: Mapped[int] = mapped_column(BigInteger)
    bucket: Mapped[int | None]
    is_known: Mapped[bool] = mapped_column(default=True, server_default=true())
    is_drawn: Mapped[bool] = mapped_column(default=True, server_default=true())
    offered_at: Mapped[datetime | None]
    downloaded_at: Mapped[datetime | None]
    installed_at: Mapped[datetime | None]
    healthy_at: Mapped[datetime | None]
    enrolled_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    crashed_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(String(20))
    left_at: Mapped[datetime | None]
    is_regular: Mapped[bool | None]
    silent_at: Mapped[datetime | None]


class CheckCount(Base):
    """Checks of one hour, by answer. ``release_id`` is 0 if nothing was offered."""

    __tablename__ = "check_counts"
    __table_args__ = (one_of("platform", Platform), Index("ix_check_counts_app", "app_id", "hour"))

    channel_id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    release_id: Mapped[int] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(30), primary_key=True)
    app_id: Mapped[int]
    checks: Mapped[int] = mapped_column(BigInteger)


class ReleaseCount(Base):
    """A stage of a release in one hour: devices that reached it for the first time, and all events for it."""

    __tablename__ = "release_counts"

    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(String(20), primary_key=True)
    devices: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)


class Adoption(Base):
    """Active devices that ran a version at the end of a day, or, for today, at the last count."""

    __tablename__ = "adoption"
    __table_args__ = (one_of("platform", Platform),)

    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), primary_key=True)
    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    app_version: Mapped[str] = mapped_column(String(100), primary_key=True)
    devices: Mapped[int]
