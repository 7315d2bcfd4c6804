"""The contract: when an update is mandatory, when the device is blocked, and what was withdrawn."""

from __future__ import annotations

from tests.contract.rows import APP, BY_HAND, EARLY, FIRST, ONE, THREE, TWO, Case, R

MUST = R(2, "1.1.0", mandatory=True)
MUST_PAUSED, MUST_HALTED = R(2, "1.1.0", mandatory=True, state="paused"), R(2, "1.1.0", mandatory=True, state="halted")
OVERDUE, NOT_YET_DUE = R(2, "1.1.0", mandatory_in=-60), R(2, "1.1.0", mandatory_in=3_600)
# For the devices on 1.3.0+5 up to, but not with, 1.5.0+8.
CRITICAL = R(9, "2.0.0", critical_from="1.3.0+5", critical_below="1.5.0+8")
MUST_ARM, OTHER_ARM = R(2, "1.1.0", 5_000, mandatory=True, arm_from=0), R(3, "1.2.0", 5_000, arm_from=5_000)
WAY_OUT = (R(2, "1.1.0", state="withdrawn"), R(3, "1.0.1", critical_from="1.1.0+2", critical_below="1.1.0+3"))
TESTERS = ("Testers",)

CASES = (
    # Mandatory by itself.
    Case("a mandatory release is offered as mandatory", (MUST,), "1.0.0+1", 2, mandatory=True),
    Case("skipping a mandatory release does not dodge it", (MUST, THREE), "1.0.0+1", 3, mandatory=True),
    Case("a mandatory release behind the device does not count", (MUST, THREE), "1.1.0+2", 3),
    Case("a halted mandatory release does not count", (MUST_HALTED, THREE), "1.0.0+1", 3),
    Case("a paused mandatory release that was skipped counts", (MUST_PAUSED, THREE), "1.0.0+1", 3, mandatory=True),
    Case("a withdrawn mandatory release does not count", (R(2, "1.1.0", mandatory=True, state="withdrawn"), THREE), "1.0.0+1", 3),
    Case(
        "a mandatory release that was rolled back does not count",
        (R(2, "1.1.0", mandatory=True, state="rolled_back"), THREE), "1.0.0+1", 3,
    ),
    Case("a mandatory release that has not started does not count", (R(2, "1.1.0", mandatory=True, starts_in=60), THREE), "1.0.0+1", 3),
    Case("a mandatory release out of reach does not count", (R(2, "1.1.0", 500, mandatory=True), THREE), "1.0.0+1", 3),
    Case(
        "a mandatory release within reach counts",
        (R(2, "1.1.0", 1_000, mandatory=True), THREE), "1.0.0+1", 3, mandatory=True, device=EARLY,
    ),
    Case("a mandatory release for others does not count", (R(2, "1.1.0", 0, mandatory=True, groups=TESTERS), THREE), "1.0.0+1", 3),
    Case(
        "a mandatory release for the device's group counts",
        (R(2, "1.1.0", 0, mandatory=True, groups=TESTERS), THREE), "1.0.0+1", 3, mandatory=True, groups=TESTERS,
    ),
    Case(
        "a mandatory release that the phone could not install does not count",
        (R(2, "1.1.0", mandatory=True, min_sdk=26), THREE), "1.0.0+1", 3, more={"sdk": 25},
    ),
    Case("a mandatory release above the offer does not count", (TWO, R(3, "1.2.0", 500, mandatory=True)), "1.0.0+1", 2),
    Case(
        "a floor on the way to a mandatory release is not mandatory",
        (R(2, "1.1.0", floor=True), R(3, "1.2.0", mandatory=True)), "1.0.0+1", 2,
    ),
    Case(
        "a mandatory release below the floor makes the floor mandatory",
        (MUST, R(3, "1.2.0", floor=True), R(4, "1.3.0")), "1.0.0+1", 3, mandatory=True,
    ),
    Case(
        "a floor that is mandatory is offered as mandatory",
        (R(2, "1.1.0", mandatory=True, floor=True), THREE), "1.0.0+1", 2, mandatory=True,
    ),
    Case(
        "a floor that is mandatory counts for those who pass its percentage",
        (R(2, "1.1.0", 1_000, mandatory=True, floor=True), THREE), "1.0.0+1", 2, mandatory=True,
    ),
    Case("an arm that is mandatory is so for its devices", (MUST_ARM, OTHER_ARM), "1.0.0+1", 2, mandatory=True, device=EARLY),
    Case("an arm that is mandatory says nothing to the other arm", (MUST_ARM, OTHER_ARM), "1.0.0+1", 3),
    Case("up to date is never mandatory", (MUST,), "1.1.0+2", None, "up_to_date"),
    Case("without a build the mandatory one between counts too", (MUST, THREE), "1.0.0", 3, mandatory=True),
    Case("of many mandatory releases one is enough", (MUST, R(3, "1.2.0", mandatory=True), R(4, "1.3.0")), "1.1.0+2", 4, mandatory=True),
    # Below the minimum.
    Case("below the minimum by build it is mandatory", (R(2, "1.1.0", minimum="1.0.0+1"),), "0.9.0+0", 2, mandatory=True),
    Case("at the minimum it is not", (R(2, "1.1.0", minimum="1.0.0+1"),), "1.0.0+1", 2),
    Case("below the minimum by name it is mandatory", (R(9, "2.0.0", minimum="1.5.0"),), "1.4.9+8", 9, mandatory=True),
    Case("at the minimum by name it is not", (R(9, "2.0.0", minimum="1.5.0"),), "1.5.0+8", 9),
    Case("a device without a build is measured at the minimum's name", (R(9, "2.0.0", minimum="1.5.0+7"),), "1.4.9", 9, mandatory=True),
    Case("the minimum of a skipped release does not count", (R(2, "1.1.0", minimum="1.0.0+2"), THREE), "1.0.0+1", 3),
    Case("the minimum of a release above the offer does not count", (TWO, R(3, "1.2.0", 500, minimum="1.0.0+2")), "1.0.0+1", 2),
    # A deadline.
    Case("after its deadline a release is mandatory", (OVERDUE,), "1.0.0+1", 2, mandatory=True),
    Case("before its deadline it is not", (NOT_YET_DUE,), "1.0.0+1", 2),
    Case("skipping a release whose deadline has passed does not dodge it", (OVERDUE, THREE), "1.0.0+1", 3, mandatory=True),
    Case("a skipped release whose deadline lies ahead does not count yet", (NOT_YET_DUE, THREE), "1.0.0+1", 3),
    Case("a deadline behind the device does not count", (OVERDUE, THREE), "1.1.0+2", 3),
    Case("a deadline of a halted release does not count", (R(2, "1.1.0", mandatory_in=-60, state="halted"), THREE), "1.0.0+1", 3),
    Case(
        "a deadline of a release that was rolled back does not count",
        (R(2, "1.1.0", mandatory_in=-60, state="rolled_back"), THREE), "1.0.0+1", 3,
    ),
    Case("a deadline does not open a release to more devices", (R(2, "1.1.0", 500, mandatory_in=-60),), "1.0.0+1", None, "not_in_rollout"),
    Case(
        "what is mandatory already is so before its deadline",
        (R(2, "1.1.0", mandatory=True, mandatory_in=3_600),), "1.0.0+1", 2, mandatory=True,
    ),
    # For devices on certain versions.
    Case("critical below a version is mandatory below it", (R(9, "2.0.0", critical_below="1.5.0+8"),), "1.4.0+7", 9, mandatory=True),
    Case("critical below a version is not mandatory at it", (R(9, "2.0.0", critical_below="1.5.0+8"),), "1.5.0+8", 9),
    Case("critical below a version is not mandatory above it", (R(9, "2.0.0", critical_below="1.4.0+7"),), "1.5.0+8", 9),
    Case("critical below a name is mandatory below that name", (R(9, "2.0.0", critical_below="1.5.0"),), "1.4.9+8", 9, mandatory=True),
    Case("a device at the beginning of the critical range must update", (CRITICAL,), "1.3.0+5", 9, mandatory=True),
    Case("a device inside the critical range must update", (CRITICAL,), "1.4.0+7", 9, mandatory=True),
    Case("a device below the critical range may wait", (CRITICAL,), "1.2.0+4", 9),
    Case("a device at the end of the critical range may wait", (CRITICAL,), "1.5.0+8", 9),
    Case("a skipped release that is critical for the device counts", (CRITICAL, R(10, "2.1.0")), "1.4.0+7", 10, mandatory=True),
    Case("a skipped release that is critical for others does not", (CRITICAL, R(10, "2.1.0")), "1.2.0+4", 10),
    Case(
        "a critical release that was withdrawn does not count",
        (R(9, "2.0.0", critical_below="1.5.0+8", state="withdrawn"), R(10, "2.1.0")), "1.4.0+7", 10,
    ),
    Case("without a build the names say who is in the critical range", (CRITICAL,), "1.4.0", 9, mandatory=True),
    # Blocked: must update, can't.
    Case("a paused mandatory release blocks", (MUST_PAUSED,), "1.0.0+1", None, "paused", blocked=True),
    Case("asking by hand does not unblock", (MUST_PAUSED,), "1.0.0+1", None, "paused", blocked=True, more=BY_HAND),
    Case(
        "a paused release after its deadline blocks",
        (R(2, "1.1.0", mandatory_in=-60, state="paused"),), "1.0.0+1", None, "paused", blocked=True,
    ),
    Case("a paused release before its deadline does not", (R(2, "1.1.0", mandatory_in=3_600, state="paused"),), "1.0.0+1", None, "paused"),
    Case(
        "a paused release that is critical for the device blocks",
        (R(9, "2.0.0", critical_below="1.5.0+8", state="paused"),), "1.4.0+7", None, "paused", blocked=True,
    ),
    Case(
        "a paused release that is critical for others does not block",
        (R(9, "2.0.0", critical_below="1.5.0+8", state="paused"),), "1.5.0+8", None, "paused",
    ),
    Case(
        "below the minimum of a paused release blocks",
        (R(2, "1.1.0", minimum="1.0.0+1", state="paused"),), "0.9.0+0", None, "paused", blocked=True,
    ),
    Case("at the minimum of a paused release does not", (R(2, "1.1.0", minimum="1.0.0+1", state="paused"),), "1.0.0+1", None, "paused"),
    Case(
        "the minimum of an older paused release does not block",
        (R(2, "1.1.0", minimum="1.0.0+2", state="paused"), R(3, "1.2.0", state="paused")), "1.0.0+1", None, "paused",
    ),
    Case(
        "the minimum of the newest paused release blocks",
        (R(2, "1.1.0", state="paused"), R(3, "1.2.0", minimum="1.0.0+2", state="paused")), "1.0.0+1", None, "paused", blocked=True,
    ),
    Case("a halted mandatory release does not block", (MUST_HALTED,), "1.0.0+1", None, "halted"),
    Case(
        "a paused mandatory release out of reach does not block",
        (R(2, "1.1.0", 500, mandatory=True, state="paused"),), "1.0.0+1", None, "paused",
    ),
    Case(
        "a paused mandatory release for the device's group blocks",
        (R(2, "1.1.0", 0, mandatory=True, state="paused", groups=TESTERS),), "1.0.0+1", None, "paused", blocked=True, groups=TESTERS,
    ),
    Case(
        "a mandatory release out of reach does not block",
        (R(2, "1.1.0", 0, mandatory=True),), "1.0.0+1", None, "not_in_rollout", device=FIRST,
    ),
    Case("a device on the paused mandatory release is not blocked", (MUST_PAUSED,), "1.1.0+2", None, "up_to_date"),
    Case("with something to offer nothing is blocked", (TWO, R(3, "1.2.0", mandatory=True, state="paused")), "1.0.0+1", 2),
    Case(
        "a mandatory release that the phone is too old for blocks",
        (R(2, "1.1.0", mandatory=True, min_sdk=26),), "1.0.0+1", None, "os_too_old", blocked=True, more={"sdk": 25},
    ),
    Case(
        "a mandatory release for another processor blocks",
        (R(2, "1.1.0", mandatory=True, abis=("arm64-v8a",)),), "1.0.0+1", None, "abi_unsupported", blocked=True, more={"abis": ["x86_64"]},
    ),
    Case(
        "a mandatory release of another signer blocks",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", mandatory=True, signer="new")), "1.0.0+1", None, "other_signer", blocked=True,
    ),
    Case(
        "a mandatory release behind a closed floor blocks",
        (R(2, "1.1.0", state="paused", floor=True), R(3, "1.2.0", mandatory=True)), "1.0.0+1", None, "paused", blocked=True,
    ),
    Case(
        "a mandatory release behind a floor that does not fit blocks",
        (R(2, "1.1.0", min_sdk=26, floor=True), R(3, "1.2.0", mandatory=True)),
        "1.0.0+1", None, "os_too_old", blocked=True, more={"sdk": 25},
    ),
    Case(
        "a mandatory release below a closed floor is offered",
        (MUST, R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")), "1.0.0+1", 2, mandatory=True,
    ),
    Case(
        "a closed floor without a mandatory release does not block",
        (R(2, "1.1.0", state="paused", floor=True), THREE), "1.0.0+1", None, "paused",
    ),
    Case(
        "a mandatory floor that is paused blocks",
        (R(2, "1.1.0", mandatory=True, state="paused", floor=True), THREE), "1.0.0+1", None, "paused", blocked=True,
    ),
    Case(
        "a mandatory release that was rolled back does not block",
        (ONE, R(2, "1.1.0", mandatory=True, state="rolled_back")), "1.0.0+1", None, "up_to_date",
    ),
    # Rolled back and withdrawn.
    Case("after a roll-back the previous release is offered again", (ONE, TWO, R(3, "1.2.0", state="rolled_back")), "1.0.0+1", 2),
    Case(
        "after a roll-back without a predecessor there is no release",
        (R(2, "1.1.0", state="rolled_back"),), "1.0.0+1", None, "no_release",
    ),
    Case(
        "a device on what was rolled back is ahead and not on a withdrawn version",
        (ONE, R(2, "1.1.0", state="rolled_back")), "1.1.0+2", None, "ahead",
    ),
    Case("a release that was rolled back can be released again", (ONE, R(2, "1.1.0", state="rolled_back"), TWO), "1.0.0+1", 2),
    Case("a withdrawn release is not offered", (ONE, TWO, R(3, "1.2.0", state="withdrawn")), "1.0.0+1", 2),
    Case("a device on a withdrawn version is told so", (ONE, R(2, "1.1.0", state="withdrawn")), "1.1.0+2", None, "ahead", withdrawn=True),
    Case(
        "a device on a withdrawn version is told so with the way out",
        (R(2, "1.1.0", state="withdrawn"), THREE), "1.1.0+2", 3, withdrawn=True,
    ),
    Case(
        "a device on a withdrawn version is told so where nothing stands",
        (R(2, "1.1.0", state="withdrawn"),), "1.1.0+2", None, "no_release", withdrawn=True,
    ),
    Case(
        "a device on a withdrawn version is told so while the app is shut off",
        (R(2, "1.1.0", state="withdrawn"),), "1.1.0+2", None, "shut_off", withdrawn=True, shut_off=(APP,),
    ),
    Case("a device on another version is not told so", (R(2, "1.1.0", state="withdrawn"), THREE), "1.0.0+1", 3),
    Case(
        "a withdrawn version that is released again is not withdrawn",
        (R(2, "1.1.0", state="withdrawn"), TWO), "1.1.0+2", None, "up_to_date",
    ),
    Case(
        "a version that left one channel of two is not withdrawn",
        (R(2, "1.1.0", channel="beta"), R(2, "1.1.0", state="withdrawn")), "1.1.0+2", None, "no_release",
    ),
    Case(
        "without a build a withdrawn version is known by its name",
        (ONE, R(2, "1.1.0", state="withdrawn")), "1.1.0", None, "ahead", withdrawn=True,
    ),
    Case(
        "a name that another build still has says nothing about a device",
        (R(2, "1.1.0", state="withdrawn"), R(3, "1.1.0")), "1.1.0", None, "up_to_date",
    ),
    Case(
        "a version withdrawn on iOS is not withdrawn on Android",
        (ONE, R(2, "1.1.0", platform="ios", state="withdrawn")), "1.1.0+2", None, "ahead",
    ),
    Case("the way out of a bad version is mandatory for exactly its devices", WAY_OUT, "1.1.0+2", 3, mandatory=True, withdrawn=True),
    Case("the way out of a bad version leaves the others their time", WAY_OUT, "1.0.0+1", 3),
)  # fmt: skip
