"""The contract: whom a release is open to. Percentages, groups, experiments, pauses, and the time that it starts."""

from __future__ import annotations

from tests.contract.rows import BY_HAND, EARLY, FIRST, LAST, ONE, THREE, TWO, Case, R

TESTERS, SHOPS = ("Testers",), ("Shop 42",)
FOR_TESTERS = R(2, "1.1.0", 0, groups=TESTERS)
PAUSED, HALTED = R(2, "1.1.0", state="paused"), R(2, "1.1.0", state="halted")
# Arms of one experiment: the first takes the buckets below 5000, the second the others.
LEFT, RIGHT = R(2, "1.1.0", 5_000, arm_from=0), R(3, "1.2.0", 5_000, arm_from=5_000)

CASES = (
    # Partial rollouts.
    Case("inside the rollout the release is offered", (ONE, R(2, "1.1.0", 1_000)), "1.0.0+1", 2, device=EARLY),
    Case("outside the rollout it is not", (ONE, R(2, "1.1.0", 1_000)), "1.0.0+1", None, "not_in_rollout"),
    Case("outside the rollout the next older full release is offered", (ONE, TWO, R(3, "1.2.0", 1_000)), "1.0.0+1", 2),
    Case("outside two rollouts the full one below is offered", (ONE, R(2, "1.1.0", 500), R(3, "1.2.0", 500)), "0.9.0+0", 1),
    Case("outside the newest rollout the wider one below is offered", (ONE, R(2, "1.1.0", 9_000), R(3, "1.2.0", 500)), "1.0.0+1", 2),
    Case("a rollout of zero is for nobody", (ONE, R(2, "1.1.0", 0)), "1.0.0+1", None, "not_in_rollout", device=FIRST),
    Case("a rollout of one basis point has its devices", (R(2, "1.1.0", 1),), "1.0.0+1", 2, device=FIRST),
    Case(
        "a rollout of all but one basis point leaves the last devices out",
        (R(2, "1.1.0", 9_999),), "1.0.0+1", None, "not_in_rollout", device=LAST,
    ),
    Case("a full rollout has the last devices too", (TWO,), "1.0.0+1", 2, device=LAST),
    Case("a rollout that ends at a device's number leaves it out", (R(2, "1.1.0", 646),), "1.0.0+1", None, "not_in_rollout", device=EARLY),
    Case("a rollout that ends just above a device's number has it", (R(2, "1.1.0", 647),), "1.0.0+1", 2, device=EARLY),
    Case("a device without an id is outside", (ONE, R(2, "1.1.0", 9_999)), "1.0.0+1", None, "not_in_rollout", device=None),
    Case("a device without an id gets a full release", (ONE, TWO), "1.0.0+1", 2, device=None),
    Case("a device without an id gets the full release below a partial one", (TWO, R(3, "1.2.0", 9_999)), "1.0.0+1", 2, device=None),
    Case("an empty id is no id", (R(2, "1.1.0", 9_999),), "1.0.0+1", None, "not_in_rollout", device=""),
    Case("a device on the partial release is up to date", (ONE, R(2, "1.1.0", 1_000)), "1.1.0+2", None, "up_to_date"),
    Case("asking by hand passes the percentage", (R(2, "1.1.0", 1_000),), "1.0.0+1", 2, more=BY_HAND),
    Case("asking by hand passes the percentage without an id", (R(2, "1.1.0", 1),), "1.0.0+1", 2, device=None, more=BY_HAND),
    Case("asking by hand does not pass a zero", (R(2, "1.1.0", 0),), "1.0.0+1", None, "not_in_rollout", more=BY_HAND),
    Case("asking by hand when up to date changes nothing", (ONE, TWO), "1.1.0+2", None, "up_to_date", more=BY_HAND),
    # Device groups.
    Case("a member is offered the release at a rollout of zero", (ONE, FOR_TESTERS), "1.0.0+1", 2, groups=TESTERS),
    Case("who is in no group is not", (ONE, FOR_TESTERS), "1.0.0+1", None, "not_in_rollout"),
    Case("a member of another group is not", (ONE, FOR_TESTERS), "1.0.0+1", None, "not_in_rollout", groups=SHOPS),
    Case("a member is offered what is partly open", (R(2, "1.1.0", 1_000, groups=TESTERS),), "1.0.0+1", 2, groups=TESTERS),
    Case("who is inside the rollout needs no group", (R(2, "1.1.0", 1_000, groups=TESTERS),), "1.0.0+1", 2, device=EARLY),
    Case("groups keep nobody out of a full release", (R(2, "1.1.0", groups=TESTERS),), "1.0.0+1", 2),
    Case("one of several groups is enough", (R(2, "1.1.0", 0, groups=TESTERS + SHOPS),), "1.0.0+1", 2, groups=SHOPS),
    Case(
        "a member of several groups gets the newest release for any of them",
        (FOR_TESTERS, R(3, "1.2.0", 0, groups=SHOPS)), "1.0.0+1", 3, groups=TESTERS + SHOPS,
    ),
    Case(
        "below a release for others a member gets the one for it",
        (FOR_TESTERS, R(3, "1.2.0", 0, groups=SHOPS)), "1.0.0+1", 2, groups=TESTERS,
    ),
    Case("without an id nobody is in a group", (ONE, FOR_TESTERS), "1.0.0+1", None, "not_in_rollout", device=None),
    Case("asking by hand does not make a member", (FOR_TESTERS,), "1.0.0+1", None, "not_in_rollout", more=BY_HAND),
    Case("a pause holds for members too", (R(2, "1.1.0", state="paused", groups=TESTERS),), "1.0.0+1", None, "paused", groups=TESTERS),
    Case("a halt holds for members too", (R(2, "1.1.0", state="halted", groups=TESTERS),), "1.0.0+1", None, "halted", groups=TESTERS),
    Case("a member is not offered an older release", (ONE, FOR_TESTERS), "1.2.0+3", None, "ahead", groups=TESTERS),
    # Arms of an experiment.
    Case("a device in the first arm is offered the first version", (ONE, LEFT, RIGHT), "1.0.0+1", 2, device=EARLY),
    Case("a device in the second arm is offered the second version", (ONE, LEFT, RIGHT), "1.0.0+1", 3),
    Case(
        "the second arm begins at its first bucket",
        (R(2, "1.1.0", 646, arm_from=0), R(3, "1.2.0", 646, arm_from=646)), "1.0.0+1", 3, device=EARLY,
    ),
    Case(
        "the first arm ends before the second begins",
        (R(2, "1.1.0", 647, arm_from=0), R(3, "1.2.0", 647, arm_from=647)), "1.0.0+1", 2, device=EARLY,
    ),
    Case("the last bucket of an arm is in it", (R(2, "1.1.0", 7_000, arm_from=0), R(3, "1.2.0", 205, arm_from=7_000)), "1.0.0+1", 3),
    Case(
        "the bucket after an arm is not in it",
        (R(2, "1.1.0", 7_000, arm_from=0), R(3, "1.2.0", 204, arm_from=7_000)), "1.0.0+1", None, "not_in_rollout",
    ),
    Case(
        "outside of all arms the release below is offered",
        (ONE, R(2, "1.1.0", 100, arm_from=0), R(3, "1.2.0", 100, arm_from=100)), "0.9.0+0", 1,
    ),
    Case("the arm with the lower version keeps its devices", (LEFT, RIGHT), "1.1.0+2", None, "not_in_rollout", device=EARLY),
    Case("asking by hand does not cross into the newer arm", (LEFT, RIGHT), "1.0.0+1", 2, device=EARLY, more=BY_HAND),
    Case("asking by hand does not cross back into the older arm", (LEFT, RIGHT), "1.0.0+1", 3, more=BY_HAND),
    Case("a device without an id is in no arm", (ONE, LEFT, RIGHT), "0.9.0+0", 1, device=None),
    Case(
        "asking by hand without an id brings nobody into an arm",
        (LEFT, RIGHT), "1.0.0+1", None, "not_in_rollout", device=None, more=BY_HAND,
    ),
    Case(
        "an arm that is paused is not offered",
        (R(2, "1.1.0", 5_000, arm_from=0, state="paused"), RIGHT), "1.0.0+1", None, "not_in_rollout", device=EARLY,
    ),
    Case(
        "an arm that is rolled back leaves the other one alone",
        (R(2, "1.1.0", 5_000, arm_from=0, state="rolled_back"), RIGHT), "1.0.0+1", 3,
    ),
    Case("a release above an experiment goes to everybody", (LEFT, RIGHT, R(4, "1.3.0")), "1.0.0+1", 4, device=EARLY),
    # Paused and halted.
    Case("a paused release is not offered", (PAUSED,), "1.0.0+1", None, "paused"),
    Case("a halted release is not offered", (HALTED,), "1.0.0+1", None, "halted"),
    Case("below a paused release the older one is offered", (TWO, R(3, "1.2.0", state="paused")), "1.0.0+1", 2),
    Case("below a halted release the older one is offered", (TWO, R(3, "1.2.0", state="halted")), "1.0.0+1", 2),
    Case("a device on the paused release is left in peace", (ONE, PAUSED), "1.1.0+2", None, "up_to_date"),
    Case("a device on the halted release is left in peace", (ONE, HALTED), "1.1.0+2", None, "up_to_date"),
    Case("a device on the halted release gets the newer one", (HALTED, THREE), "1.1.0+2", 3),
    Case("a pause holds inside the rollout", (R(2, "1.1.0", 1_000, state="paused"),), "1.0.0+1", None, "paused", device=EARLY),
    Case("a pause is the reason outside the rollout too", (R(2, "1.1.0", 1_000, state="paused"),), "1.0.0+1", None, "paused"),
    Case("the newest obstacle is the reason", (R(2, "1.1.0", 0), R(3, "1.2.0", state="paused")), "1.0.0+1", None, "paused"),
    Case("the newest obstacle is the reason, whichever it is", (PAUSED, R(3, "1.2.0", 0)), "1.0.0+1", None, "not_in_rollout"),
    Case("asking by hand does not pass a pause", (PAUSED,), "1.0.0+1", None, "paused", more=BY_HAND),
    Case("asking by hand does not pass a halt", (HALTED,), "1.0.0+1", None, "halted", more=BY_HAND),
    Case(
        "asking by hand gets the older one below a pause",
        (R(2, "1.1.0", 500), R(3, "1.2.0", state="paused")), "1.0.0+1", 2, more=BY_HAND,
    ),
    # Scheduled.
    Case("a release that has not started is as if it were not there", (R(2, "1.1.0", starts_in=60),), "1.0.0+1", None, "no_release"),
    Case("below a scheduled release the present one is offered", (TWO, R(3, "1.2.0", starts_in=60)), "1.0.0+1", 2),
    Case("a device on the scheduled release is ahead", (TWO, R(3, "1.2.0", starts_in=60)), "1.2.0+3", None, "ahead"),
    Case(
        "a member waits for the start as well",
        (R(2, "1.1.0", starts_in=60, groups=TESTERS),), "1.0.0+1", None, "no_release", groups=TESTERS,
    ),
    Case("asking by hand does not hasten the start", (TWO, R(3, "1.2.0", starts_in=60)), "1.1.0+2", None, "up_to_date", more=BY_HAND),
)  # fmt: skip
