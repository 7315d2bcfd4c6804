"""The contract of the update check: a catalog, a device, the answer. Runs against `core.decide` and against HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field

# Ids whose buckets were computed once for SALT below: "early" is inside 10 %, "late" is not even inside 90 %.
SALT = "contract"
EARLY = "device-43"
LATE = "device-7"


@dataclass(frozen=True)
class R:
    """A release on the default channel."""

    code: int
    version: str
    rollout: int = 10_000
    state: str = "active"
    mandatory: bool = False
    minimum: str | None = None
    starts_in: int = -60


@dataclass(frozen=True)
class Case:
    """``offers`` is a version code, or None; ``reason`` the documented one."""

    name: str
    releases: tuple[R, ...]
    current: str
    offers: int | None
    reason: str = "update_available"
    mandatory: bool = False
    device: str | None = LATE
    more: dict[str, object] = field(default_factory=dict)
    blocked: bool = False


ONE = R(1, "1.0.0")
TWO = R(2, "1.1.0")
THREE = R(3, "1.2.0")

CASES = [
    # Newer, same, older.
    Case("an older device is offered the newest release", (ONE, TWO), "1.0.0+1", 2),
    Case("the newest device is up to date", (ONE, TWO), "1.1.0+2", None, "up_to_date"),
    Case("a device newer than everything is ahead", (ONE, TWO), "9.0.0+9", None, "ahead"),
    Case("nothing released means no release", (), "1.0.0+1", None, "no_release"),
    Case("releases are skipped over to the newest", (ONE, TWO, THREE), "1.0.0+1", 3),
    Case("the order of publishing does not matter, the code does", (THREE, ONE, TWO), "1.0.0+1", 3),
    Case("a device between two releases gets the newer one", (ONE, THREE), "1.1.0+2", 3),
    Case("version code zero is legal", (R(0, "0.1.0"), ONE), "0.1.0+0", 1),
    Case("64-bit codes are compared as numbers", (R(2**40, "5.0.0"), R(2**40 + 1, "5.0.1")), f"5.0.0+{2**40}", 2**40 + 1),
    Case("the largest code can be offered", (R(2**63 - 1, "5.0.0"),), "1.0.0+1", 2**63 - 1),
    # The code decides where there is one.
    Case("with a build the name does not count", (R(2, "0.5.0"),), "1.0.0+1", 2),
    Case("the same build under another name is up to date", (TWO,), "1.0.0+2", None, "up_to_date"),
    Case("a higher build under a lower name is ahead", (TWO,), "0.1.0+3", None, "ahead"),
    # Without a build the names decide.
    Case("without a build a higher name is offered", (TWO,), "1.0.0", 2),
    Case("without a build the same name is up to date", (TWO,), "1.1.0", None, "up_to_date"),
    Case("without a build a lower name is ahead", (TWO,), "1.2.0", None, "ahead"),
    Case("1.1 reads as 1.1.0", (TWO,), "1.1", None, "up_to_date"),
    Case("a leading v is read", (TWO,), "v1.0.0", 2),
    Case("four parts are read", (R(2, "1.0.0.5"),), "1.0.0.4", 2),
    Case("a bare number is read", (R(2, "8"),), "7", 2),
    Case("a pre-release comes before its release", (R(2, "2.0.0"),), "2.0.0-rc.1", 2),
    Case("a release comes after its pre-release", (R(2, "2.0.0-rc.1"),), "2.0.0", None, "ahead"),
    Case("pre-releases are ordered by their numbers", (R(2, "2.0.0-rc.10"),), "2.0.0-rc.9", 2),
    Case("a name without order is not offered to a device without a build", (R(2, "spring"),), "1.0.0", None, "not_comparable"),
    Case("a name without order is offered by its code", (R(2, "spring"),), "1.0.0+1", 2),
    # Partial rollouts.
    Case("inside the rollout the release is offered", (ONE, R(2, "1.1.0", 1_000)), "1.0.0+1", 2, device=EARLY),
    Case("outside the rollout it is not", (ONE, R(2, "1.1.0", 1_000)), "1.0.0+1", None, "not_in_rollout"),
    Case("outside the rollout the next older full release is offered", (ONE, TWO, R(3, "1.2.0", 1_000)), "1.0.0+1", 2),
    Case("outside two rollouts the full one below is offered", (ONE, R(2, "1.1.0", 500), R(3, "1.2.0", 500)), "0.9.0+0", 1),
    Case("a rollout of zero is for nobody", (ONE, R(2, "1.1.0", 0)), "1.0.0+1", None, "not_in_rollout", device=EARLY),
    Case("a device without an id is outside", (ONE, R(2, "1.1.0", 9_999)), "1.0.0+1", None, "not_in_rollout", device=None),
    Case("a device without an id gets a full release", (ONE, TWO), "1.0.0+1", 2, device=None),
    Case("an empty id is no id", (R(2, "1.1.0", 9_999),), "1.0.0+1", None, "not_in_rollout", device=""),
    Case("a device on the partial release is up to date", (ONE, R(2, "1.1.0", 1_000)), "1.1.0+2", None, "up_to_date"),
    Case("asking by hand passes the percentage", (R(2, "1.1.0", 1_000),), "1.0.0+1", 2, more={"user_initiated": True}),
    Case("asking by hand does not pass a zero", (R(2, "1.1.0", 0),), "1.0.0+1", None, "not_in_rollout", more={"user_initiated": True}),
    # Paused and halted.
    Case("a paused release is not offered", (R(2, "1.1.0", state="paused"),), "1.0.0+1", None, "paused"),
    Case("a halted release is not offered", (R(2, "1.1.0", state="halted"),), "1.0.0+1", None, "halted"),
    Case("below a paused release the older one is offered", (TWO, R(3, "1.2.0", state="paused")), "1.0.0+1", 2),
    Case("below a halted release the older one is offered", (TWO, R(3, "1.2.0", state="halted")), "1.0.0+1", 2),
    Case("a device on the paused release is left in peace", (ONE, R(2, "1.1.0", state="paused")), "1.1.0+2", None, "up_to_date"),
    Case("the newest obstacle is the reason", (R(2, "1.1.0", 0), R(3, "1.2.0", state="paused")), "1.0.0+1", None, "paused"),
    Case(
        "asking by hand does not pass a pause", (R(2, "1.1.0", state="paused"),), "1.0.0+1", None, "paused", more={"user_initiated": True}
    ),
    Case("asking by hand does not pass a halt", (R(2, "1.1.0", state="halted"),), "1.0.0+1", None, "halted", more={"user_initiated": True}),
    # Scheduled.
    Case("a release that has not started is as if it were not there", (R(2, "1.1.0", starts_in=60),), "1.0.0+1", None, "no_release"),
    Case("below a scheduled release the present one is offered", (TWO, R(3, "1.2.0", starts_in=60)), "1.0.0+1", 2),
    Case("a device on the scheduled release is ahead", (TWO, R(3, "1.2.0", starts_in=60)), "1.2.0+3", None, "ahead"),
    # Mandatory.
    Case("a mandatory release is offered as mandatory", (R(2, "1.1.0", mandatory=True),), "1.0.0+1", 2, mandatory=True),
    Case("skipping a mandatory release does not dodge it", (R(2, "1.1.0", mandatory=True), THREE), "1.0.0+1", 3, mandatory=True),
    Case("a mandatory release behind the device does not count", (R(2, "1.1.0", mandatory=True), THREE), "1.1.0+2", 3),
    Case("a halted mandatory release does not count", (R(2, "1.1.0", mandatory=True, state="halted"), THREE), "1.0.0+1", 3),
    Case("a mandatory release out of reach does not count", (R(2, "1.1.0", 500, mandatory=True), THREE), "1.0.0+1", 3),
    Case(
        "a mandatory release within reach counts", (R(2, "1.1.0", 1_000, mandatory=True), THREE), "1.0.0+1", 3, mandatory=True, device=EARLY
    ),
    Case("a mandatory release above the offer does not count", (TWO, R(3, "1.2.0", 500, mandatory=True)), "1.0.0+1", 2),
    Case("up to date is never mandatory", (R(2, "1.1.0", mandatory=True),), "1.1.0+2", None, "up_to_date"),
    Case("below the minimum by build it is mandatory", (R(2, "1.1.0", minimum="1.0.0+1"),), "0.9.0+0", 2, mandatory=True),
    Case("at the minimum it is not", (R(2, "1.1.0", minimum="1.0.0+1"),), "1.0.0+1", 2),
    Case("below the minimum by name it is mandatory", (R(9, "2.0.0", minimum="1.5.0"),), "1.4.9+8", 9, mandatory=True),
    Case("at the minimum by name it is not", (R(9, "2.0.0", minimum="1.5.0"),), "1.5.0+8", 9),
    Case("the minimum of a skipped release does not count", (R(2, "1.1.0", minimum="1.0.0+2"), THREE), "1.0.0+1", 3),
    # Blocked: must update, can't.
    Case("a paused mandatory release blocks", (R(2, "1.1.0", mandatory=True, state="paused"),), "1.0.0+1", None, "paused", blocked=True),
    Case(
        "below the minimum of a paused release blocks",
        (R(2, "1.1.0", minimum="1.0.0+1", state="paused"),),
        "0.9.0+0",
        None,
        "paused",
        blocked=True,
    ),
    Case("a halted mandatory release does not block", (R(2, "1.1.0", mandatory=True, state="halted"),), "1.0.0+1", None, "halted"),
    Case(
        "a paused mandatory release out of reach does not block",
        (R(2, "1.1.0", 500, mandatory=True, state="paused"),),
        "1.0.0+1",
        None,
        "paused",
    ),
    Case(
        "a device on the paused mandatory release is not blocked",
        (R(2, "1.1.0", mandatory=True, state="paused"),),
        "1.1.0+2",
        None,
        "up_to_date",
    ),
    Case("with something to offer nothing is blocked", (TWO, R(3, "1.2.0", mandatory=True, state="paused")), "1.0.0+1", 2),
    Case("without a build the mandatory one between counts too", (R(2, "1.1.0", mandatory=True), THREE), "1.0.0", 3, mandatory=True),
]
