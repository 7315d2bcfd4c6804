"""A server with a believable fleet, to look around in: ``python -m scripts.demo``, or ``make demo``.

Three apps with months of versions, thousands of devices, an experiment, a running plan and a halted release.
Only a server without versions is filled. The data is the same each time, relative to the present.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta

from sqlalchemy import select

from app import create_app
from ota import bootstrap
from ota.apps import apps, channels
from ota.builds import versions
from ota.builds.versions import VersionDraft
from ota.clock import utcnow
from ota.config import Settings, from_environment
from ota.core.experiments import Arm
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Role
from ota.core.plans import PlanStep
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.devices import group_members, groups
from ota.experiments import experiments
from ota.experiments.experiments import Draft
from ota.fleet.adoption import note_adoption
from ota.history.audit import Actor
from ota.models import AuditEvent, Version
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import rows as release_rows
from ota.releases.terms import Terms
from ota.web.journal import hashed
from scripts.demo_fleet import grow
from scripts.demo_rows import Fleet
from scripts.demo_tried import Tried

MAYA = Actor(label="maya@example.com", role=Role.ADMIN)
NOTES = (
    "Orders are found by their number again.",
    "Sign in with a passkey.",
    "Less data on slow networks.",
    "A map for the whole day.",
    "Photos are sent when there is a network again.",
    "Scanning works in the dark.",
    "The list remembers where you were.",
)
SHOWN = 7
"""courier-android-7 has a story to look at."""

STEPS = (PlanStep(1_000, 24 * 60), PlanStep(5_000, 24 * 60), PlanStep(10_000))


def main() -> int:
    """Answers the exit status."""
    started = time.monotonic()
    settings = from_environment()
    settings.prepare_folders()
    app = create_app(settings)
    first = bootstrap.prepare(app, settings)
    with app.app_context():
        if reader().query(Version).first() is not None:
            print(
                "Not filled: this server has versions already. Choose an empty folder with OTA_DATA_DIR.",
                file=sys.stderr,
            )
            return 2
        now = utcnow().replace(microsecond=0)
        _courier(now)
        if first is not None:
            _replace_first_app(now)
        _depot(now)
        _field(now)
        with transaction() as session:
            note_adoption(session, now=now)
    print(f"Filled in {time.monotonic() - started:.0f} s. Start it with the same settings: make run")
    _print_access(settings, first)
    return 0


def _print_access(settings: Settings, first: bootstrap.FirstAccess | None) -> None:
    if first is not None:
        password = first.password or "as in OTA_ADMIN_PASSWORD"
        token = first.token or "as in OTA_ADMIN_TOKEN"
        print(f"First administrator, shown once: {first.email}, password {password}, API token {token}")
    print(f"Then: {settings.public_url}/apps/courier/fleet")


def _replace_first_app(now: datetime) -> None:
    """A fresh server has an empty app: here the courier's takes its place."""
    with transaction() as session:
        empty = apps.find(session, None)
        apps.make_default(session, MAYA, apps.find(session, "courier"), now=now)
        told = session.scalars(select(AuditEvent).where(AuditEvent.app_id == empty.id))
        for row in (*told, *empty.platforms, *empty.channels):
            session.delete(row)
        session.flush()
        session.delete(empty)


def _make_app(slug: str, name: str, now: datetime) -> None:
    with transaction() as session:
        made = apps.create(session, MAYA, slug=slug, name=name, now=now)
        channels.create(
            session, MAYA, made, name="beta", falls_back_to=("stable",), approval_above=None, now=now
        )
        groups.create(session, MAYA, made, name="testers", now=now)


def _version(
    slug: str, platform: Platform, name: str, code: int, now: datetime, *, is_mandatory: bool = False
) -> int:
    kind = "apk" if platform is Platform.ANDROID else "ipa"
    with transaction() as session:
        draft = VersionDraft(
            platform=platform,
            version=name,
            version_code=code,
            file_size=24_000_000 + code * 137_000,
            checksum=f"{code:064x}",
            download_url=f"https://files.example.com/{slug}/{slug}-{name}.{kind}",
            release_notes=NOTES[code % len(NOTES)],
            localized_notes={"de": f"Neu: {NOTES[(code + 1) % len(NOTES)]}"} if code % 3 == 0 else {},
            is_mandatory=is_mandatory,
        )
        return versions.add(session, MAYA, apps.find(session, slug), draft, artifact=None, now=now).id


def _release(
    version_id: int,
    at: datetime,
    *,
    channel: str | None = None,
    rollout: int | None = None,
    terms: Terms | None = None,
) -> int:
    with transaction() as session:
        version = session.get_one(Version, version_id)
        made = release_acts.start(
            session, MAYA, version, channel=channel, rollout=rollout, terms=terms, now=at
        )
        made.salt = f"demo-{version.version_code}-1"  # The same devices are let in each time.
        return made.id


def _widen(release_id: int, rollout: int, at: datetime) -> None:
    with transaction() as session:
        release_edits.set_rollout(session, MAYA, release_rows.get(session, release_id), rollout, now=at)


def _move(release_id: int, state: ReleaseState, at: datetime, reason: str | None = None) -> None:
    with transaction() as session:
        release_acts.change_state(
            session, MAYA, release_rows.get(session, release_id), state, reason=reason, now=at
        )


def _months(
    slug: str, platform: Platform, now: datetime, names: list[str]
) -> list[tuple[int, int, datetime]]:
    """Versions of the last half year, each opened in three steps; return version, release and start."""
    made = []
    for place, name in enumerate(names):
        at = now - timedelta(days=16 * (len(names) - place) + 4)
        version_id = _version(
            slug, platform, name, 100 + place, at - timedelta(hours=3), is_mandatory=place == 4
        )
        release_id = _release(version_id, at, rollout=1_000)
        _widen(release_id, 5_000, at + timedelta(days=1))
        _widen(release_id, 10_000, at + timedelta(days=2))
        made.append((version_id, release_id, at))
    return made


def _courier(now: datetime) -> None:
    """The big one: a bad release was found and halted the day before yesterday."""
    _make_app("courier", "Courier", now - timedelta(days=190))
    for platform, devices in ((Platform.ANDROID, 6_000), (Platform.IOS, 2_200)):
        made = _months(
            "courier",
            platform,
            now,
            ["3.0.0", "3.1.0", "3.1.1", "3.2.0", "3.3.0", "3.4.0", "3.4.1", "3.5.0", "3.6.0", "3.7.0"],
        )
        fleet = Fleet(
            "courier", platform, devices, seed=devices, shown=SHOWN if platform is Platform.ANDROID else None
        )
        if platform is Platform.ANDROID:
            began = now - timedelta(days=2, hours=6)
            bad = _release(
                _version("courier", platform, "3.8.0", 110, began - timedelta(hours=2)),
                began,
                terms=Terms(plan=STEPS),
            )
            grow(fleet, made, now, Tried(bad, began, 0.06, is_watched=True))
        else:
            grow(fleet, made, now)
    with transaction() as session:
        app = apps.find(session, "courier")
        (testers,) = groups.named(session, app, ["testers"])
        office = [f"courier-android-{number}" for number in range(1, 25)]
        group_members.add(
            session,
            MAYA,
            testers,
            office,
            hashed=hashed,
            note="Phones of the office",
            now=now - timedelta(days=40),
        )
        beta = apps.find_channel(app, "beta")
        channels.edit(
            session, MAYA, beta, channels.ChannelEdit(("stable",), 5_000), now=now - timedelta(days=30)
        )
    _release(
        _version("courier", Platform.ANDROID, "3.8.1", 111, now - timedelta(hours=5)),
        now - timedelta(hours=4),
        channel="beta",
        rollout=5_000,
    )


def _depot(now: datetime) -> None:
    """Two ways to show the same list are compared."""
    _make_app("depot", "Depot", now - timedelta(days=150))
    made = _months("depot", Platform.ANDROID, now, ["1.0.0", "1.1.0", "1.2.0", "1.2.1", "1.3.0", "1.4.0"])
    began = now - timedelta(days=3)
    arms = [
        _version("depot", Platform.ANDROID, f"1.5.0-{name}", code, began)
        for name, code in (("list", 120), ("cards", 121))
    ]
    with transaction() as session:
        app_id = apps.find(session, "depot").id
        draft = Draft(name="List or cards", arms=tuple(Arm(version_id, 3_000) for version_id in arms))
        made_experiment = experiments.start(session, MAYA, app_id, draft, now=began)
        how = ((0.012, 0.71), (0.015, 0.82))
        tried = [Tried(arm.id, began, *rates) for arm, rates in zip(made_experiment.arms, how, strict=True)]
        for arm in (made_experiment, *made_experiment.arms):
            arm.salt = "demo-depot"
    grow(Fleet("depot", Platform.ANDROID, 3_600, seed=3), made, now, *tried)


def _field(now: datetime) -> None:
    """A plan is under way, one release was taken back, and the next is scheduled."""
    _make_app("field", "Field Notes", now - timedelta(days=120))
    made = _months("field", Platform.ANDROID, now, ["0.7.0", "0.8.0", "0.9.0", "1.0.0"])
    taken_back = _release(
        _version("field", Platform.ANDROID, "1.0.1", 118, now - timedelta(days=9)),
        now - timedelta(days=9),
        rollout=2_000,
    )
    _move(taken_back, ReleaseState.ROLLED_BACK, now - timedelta(days=8), "Photos were sent twice.")
    began = now - timedelta(hours=20)
    running = _release(
        _version("field", Platform.ANDROID, "1.1.0", 119, began), began, terms=Terms(plan=STEPS)
    )
    grow(Fleet("field", Platform.ANDROID, 420, seed=7), made, now, Tried(running, began, 0.01))
    later = _version("field", Platform.ANDROID, "1.2.0", 120, now - timedelta(hours=1))
    _release(later, now - timedelta(minutes=30), rollout=500, terms=Terms(starts_at=now + timedelta(days=2)))
    made_ios = _months("field", Platform.IOS, now, ["0.9.0", "1.0.0"])
    grow(Fleet("field", Platform.IOS, 160, seed=9), made_ios, now)


if __name__ == "__main__":
    raise SystemExit(main())
