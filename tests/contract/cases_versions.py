"""The contract: what is newer, and what one app, platform and channel have to do with the others."""

from __future__ import annotations

from tests.contract.rows import APP, BETA, BY_HAND, IOS, ONE, THREE, TWO, Case, R

MOST = 2**63 - 1
BETA_TWO = R(2, "1.1.0", channel="beta")
BETA_THREE = R(3, "1.2.0", channel="beta")
NIGHTLY, CANARY, LONE = {"channel": "nightly"}, {"channel": "canary"}, {"channel": "lone"}

CASES = (
    # Newer, same, older.
    Case("an older device is offered the newest release", (ONE, TWO), "1.0.0+1", 2),
    Case("the newest device is up to date", (ONE, TWO), "1.1.0+2", None, "up_to_date"),
    Case("a device newer than everything is ahead", (ONE, TWO), "9.0.0+9", None, "ahead"),
    Case("nothing released means no release", (), "1.0.0+1", None, "no_release"),
    Case("releases are skipped over to the newest", (ONE, TWO, THREE), "1.0.0+1", 3),
    Case("the order of publishing does not matter, the code does", (THREE, ONE, TWO), "1.0.0+1", 3),
    Case("a device between two releases gets the newer one", (ONE, THREE), "1.1.0+2", 3),
    Case("version code zero is legal", (R(0, "0.1.0"), ONE), "0.1.0+0", 1),
    Case("a device on version code zero is up to date with it", (R(0, "0.1.0"),), "0.1.0+0", None, "up_to_date"),
    Case("64-bit codes are compared as numbers", (R(2**40, "5.0.0"), R(2**40 + 1, "5.0.1")), f"5.0.0+{2**40}", 2**40 + 1),
    Case("codes that a 32-bit number can't hold apart are apart", (R(2**32 + 1, "5.0.0"),), "1.0.0+1", 2**32 + 1),
    Case("the largest code can be offered", (R(MOST, "5.0.0"),), "1.0.0+1", MOST),
    Case("the largest code is newer than the one below it", (R(MOST, "5.0.0"),), f"4.9.0+{MOST - 1}", MOST),
    Case("a device on the largest code is up to date", (R(MOST, "5.0.0"),), f"5.0.0+{MOST}", None, "up_to_date"),
    # The code decides where there is one.
    Case("with a build the name does not count", (R(2, "0.5.0"),), "1.0.0+1", 2),
    Case("the same build under another name is up to date", (TWO,), "1.0.0+2", None, "up_to_date"),
    Case("a higher build under a lower name is ahead", (TWO,), "0.1.0+3", None, "ahead"),
    # Without a build the names decide.
    Case("without a build a higher name is offered", (TWO,), "1.0.0", 2),
    Case("without a build the same name is up to date", (TWO,), "1.1.0", None, "up_to_date"),
    Case("without a build a lower name is ahead", (TWO,), "1.2.0", None, "ahead"),
    Case("names are compared as numbers and not as letters", (R(2, "1.10.0"),), "1.9.0", 2),
    Case("without a build the newest code with a higher name is offered", (R(2, "1.3.0"), R(3, "1.2.0")), "1.1.0", 3),
    Case("without a build a newer code with a lower name is passed over", (R(2, "1.3.0"), R(3, "1.2.0")), "1.2.5", 2),
    Case("1.1 reads as 1.1.0", (TWO,), "1.1", None, "up_to_date"),
    Case("a leading v is read", (TWO,), "v1.0.0", 2),
    Case("a leading v before a build is read", (TWO,), "v1.0.0+1", 2),
    Case("four parts are read", (R(2, "1.0.0.5"),), "1.0.0.4", 2),
    Case("a bare number is read", (R(2, "8"),), "7", 2),
    Case("a pre-release comes before its release", (R(2, "2.0.0"),), "2.0.0-rc.1", 2),
    Case("a release comes after its pre-release", (R(2, "2.0.0-rc.1"),), "2.0.0", None, "ahead"),
    Case("pre-releases are ordered by their numbers", (R(2, "2.0.0-rc.10"),), "2.0.0-rc.9", 2),
    Case("a beta comes after an alpha", (R(2, "2.0.0-beta"),), "2.0.0-alpha.7", 2),
    Case("a pre-release with a build is compared by the build", (R(2, "2.0.0-rc.1"),), "2.0.0+1", 2),
    Case("a name without order is not offered to a device without a build", (R(2, "spring"),), "1.0.0", None, "not_comparable"),
    Case("a name without order is offered by its code", (R(2, "spring"),), "1.0.0+1", 2),
    Case("below a name without order a device without a build gets the next one", (TWO, R(3, "spring")), "1.0.0", 2),
    # Platforms have nothing to do with each other.
    Case("an iPhone is not offered a version for Android", (ONE, TWO), "1.0.0+1", None, "no_release", more=IOS),
    Case("an Android phone is not offered a version for iOS", (ONE, R(2, "1.1.0", platform="ios")), "1.0.0+1", None, "up_to_date"),
    Case("a code and a name may repeat on the other platform", (TWO, R(2, "1.1.0", platform="ios")), "1.0.0+1", 2, more=IOS),
    Case(
        "a pause on one platform does not hold on the other",
        (R(2, "1.1.0", state="paused"), R(2, "1.1.0", platform="ios")), "1.0.0+1", 2, more=IOS,
    ),
    # Channels, and what they fall back to.
    Case("a stable device does not see beta", (ONE, BETA_TWO), "1.0.0+1", None, "up_to_date"),
    Case("a stable device with nothing but beta there has no release", (BETA_TWO,), "1.0.0+1", None, "no_release"),
    Case("a device that names stable gets what one that names nothing gets", (ONE, TWO), "1.0.0+1", 2, more={"channel": "stable"}),
    Case("a beta device gets beta", (ONE, BETA_TWO), "1.0.0+1", 2, more=BETA),
    Case("a beta device sees stable", (ONE, TWO), "1.0.0+1", 2, more=BETA),
    Case("a stable release above the beta one goes to beta devices", (BETA_TWO, THREE), "1.0.0+1", 3, more=BETA),
    Case("a beta release above the stable one goes to beta devices", (TWO, BETA_THREE), "1.0.0+1", 3, more=BETA),
    Case(
        "a stable release below the beta one that a device runs is not offered",
        (TWO, BETA_THREE), "1.2.0+3", None, "up_to_date", more=BETA,
    ),
    Case("a beta device that goes back to stable is ahead", (TWO, BETA_THREE), "1.2.0+3", None, "ahead"),
    Case("below a paused beta release stable is offered", (TWO, R(3, "1.2.0", state="paused", channel="beta")), "1.0.0+1", 2, more=BETA),
    Case("outside a beta rollout stable is offered", (TWO, R(3, "1.2.0", 500, channel="beta")), "1.0.0+1", 2, more=BETA),
    Case(
        "a version that is paused on beta and open on stable is offered",
        (R(2, "1.1.0", state="paused", channel="beta"), TWO), "1.0.0+1", 2, more=BETA,
    ),
    Case(
        "a version that is paused on stable and open on beta is offered to beta devices",
        (R(2, "1.1.0", state="paused"), BETA_TWO), "1.0.0+1", 2, more=BETA,
    ),
    Case("a channel sees what its fallback falls back to", (TWO,), "1.0.0+1", 2, more=NIGHTLY),
    Case("the newest of three channels is offered", (ONE, BETA_THREE, R(2, "1.1.0", channel="nightly")), "1.0.0+1", 3, more=NIGHTLY),
    Case("a channel without a fallback sees only its own", (ONE, R(2, "1.1.0", channel="lone"), THREE), "1.0.0+1", 2, more=LONE),
    Case("a channel without a fallback and without a release has none", (ONE, TWO), "1.0.0+1", None, "no_release", more=LONE),
    Case(
        "a mandatory stable release between is mandatory on beta",
        (R(2, "1.1.0", mandatory=True), BETA_THREE), "1.0.0+1", 3, mandatory=True, more=BETA,
    ),
    Case("a mandatory beta release says nothing to stable", (R(2, "1.1.0", mandatory=True, channel="beta"), THREE), "1.0.0+1", 3),
    # Shut off.
    Case("an app that is shut off offers nothing", (ONE, TWO), "1.0.0+1", None, "shut_off", shut_off=(APP,)),
    Case("an app that is shut off offers nothing on any channel", (TWO,), "1.0.0+1", None, "shut_off", more=BETA, shut_off=(APP,)),
    Case("an app that is shut off says so to a device that is up to date", (ONE,), "1.0.0+1", None, "shut_off", shut_off=(APP,)),
    Case("an app that is shut off says so without a release too", (), "1.0.0+1", None, "shut_off", shut_off=(APP,)),
    Case("a channel that is shut off offers nothing", (ONE, TWO), "1.0.0+1", None, "shut_off", shut_off=("stable",)),
    Case("a channel that is shut off does not fall back", (BETA_TWO, THREE), "1.0.0+1", None, "shut_off", more=BETA, shut_off=("beta",)),
    Case("a channel that is shut off leaves its fallback alone", (TWO, BETA_THREE), "1.0.0+1", 2, shut_off=("beta",)),
    Case("a fallback that is shut off is left out", (BETA_TWO, THREE), "1.0.0+1", 2, more=BETA, shut_off=("stable",)),
    Case(
        "with nothing but the fallback, which is shut off, there is no release",
        (TWO,), "1.0.0+1", None, "no_release", more=BETA, shut_off=("stable",),
    ),
    Case(
        "what is reached only through a channel that is shut off is left out",
        (ONE, TWO), "1.0.0+1", None, "no_release", more=NIGHTLY, shut_off=("beta",),
    ),
    Case("what is reached another way too is still there", (TWO, BETA_THREE), "1.0.0+1", 2, more=CANARY, shut_off=("beta",)),
    Case("asking by hand does not pass a shut-off", (TWO,), "1.0.0+1", None, "shut_off", more=BY_HAND, shut_off=("stable",)),
    Case(
        "a member of a group is not offered what is shut off",
        (R(2, "1.1.0", groups=("Testers",)),), "1.0.0+1", None, "shut_off", groups=("Testers",), shut_off=(APP,),
    ),
    Case(
        "a mandatory release that is shut off blocks nobody",
        (R(2, "1.1.0", mandatory=True),), "1.0.0+1", None, "shut_off", shut_off=(APP,),
    ),
)  # fmt: skip
