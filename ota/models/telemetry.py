"""What devices reported: checks, events and completions as they came, and what is counted from them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from ota.core.platforms import Platform
from ota.core.telemetry import EventKind
from ota.models.base import Base, one_of

_Many = BigInteger().with_variant(Integer, "sqlite")
"""A key that counts beyond 32 bits; SQLite's own integer does."""


class JournalPosition(Base):
    """How far a segment of a journal was counted. Written with what was counted, so that nothing counts twice."""

    __tablename__ = "journal_positions"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    position: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class UpdateCheck(Base):
    """One check. ``device_id`` is the keyed hash of the device's id, None where the app keeps none. Kept for a month."""

    __tablename__ = "update_checks"
    __table_args__ = (Index("ix_update_checks_device", "app_id", "device_id"),)

    id: Mapped[int] = mapped_column(_Many, primary_key=True)
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
    """A device went from one version to another: it said so, or (``is_inferred``) a later check showed it. Each way counts once."""

    __tablename__ = "update_completions"
    __table_args__ = (
        UniqueConstraint(
            "app_id", "platform", "device_id", "from_version", "to_version", name="uq_update_completions_way"
        ),
    )

    id: Mapped[int] = mapped_column(_Many, primary_key=True)
    app_id: Mapped[int]
    device_id: Mapped[str] = mapped_column(String(64))
    from_version: Mapped[str] = mapped_column(String(100))
    to_version: Mapped[str] = mapped_column(String(100))
    platform: Mapped[str] = mapped_column(String(20))
    is_inferred: Mapped[bool] = mapped_column(default=False)
    completed_at: Mapped[datetime] = mapped_column(index=True)


class Event(Base):
    """Something that happened on a device. ``event_id`` is made by the app: the same one counts once. ``at`` is what the device's clock
    said, corrected to lie before ``received_at``; ``duration_ms`` what it took."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("app_id", "device_id", "event_id"),
        one_of("kind", EventKind),
        Index("ix_events_signature", "signature_id", "device_id"),
    )

    id: Mapped[int] = mapped_column(_Many, primary_key=True)
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
    """Failures of one version that look alike. ``sample`` is the text of the first one, cut short."""

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
    """Failures that look alike on one day (UTC): so many devices had them for the first time, so many events said so."""

    __tablename__ = "failure_counts"

    signature_id: Mapped[int] = mapped_column(
        ForeignKey("failure_signatures.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    devices: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)


class ReleaseDevice(Base):
    """One device's way with one release: its one vote (`ota.core.health_members`).

    ``is_control``: it asked while the release was open to others only, and runs ``version_code`` of old; else ``version_code`` is the
    release's own. A device that is let in later has rows of each kind, one of the control has one for each ``turn``; ``bucket`` says when
    it will be let in. Each time is the first one, but for ``enrolled_at``: when the device began to count, that is, the last time it was
    offered the release while it ran something else; in the control: it asked. ``left_at``: it runs something else since then.
    ``crashed_at`` is its first failure that is none of the installation itself. ``is_known``: it had asked before the release started,
    and ``is_drawn``: the draw of the rollout let it in; who is not votes in no test, or not against the control.
    ``is_regular``: it normally calls, and ``silent_at`` it had not for as long as the policy says; None where nobody looked.
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
    """Checks of one hour, per answer. ``release_id`` is 0 where nothing was offered."""

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
    """What became of a release's devices within one hour: how many reached a stage for the first time, and how many events said so."""

    __tablename__ = "release_counts"

    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(String(20), primary_key=True)
    devices: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger)


class Adoption(Base):
    """How many active devices ran a version at the end of a day (of today: at the last look)."""

    __tablename__ = "adoption"
    __table_args__ = (one_of("platform", Platform),)

    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), primary_key=True)
    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    app_version: Mapped[str] = mapped_column(String(100), primary_key=True)
    devices: Mapped[int]
