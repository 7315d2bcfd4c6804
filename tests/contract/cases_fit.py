"""The contract: releases that a phone could not install, and floors."""

from __future__ import annotations

from tests.contract.rows import BETA, EARLY, IOS, ONE, THREE, TWO, USER_INITIATED, Case, R

TESTERS = ("Testers",)
ARM64, X86 = "arm64-v8a", "x86_64"
NEEDS_26 = R(2, "1.1.0", min_sdk=26)
FOR_ARM64 = R(2, "1.1.0", abis=(ARM64,))
FLOOR = R(2, "1.1.0", floor=True)
PAUSED_FLOOR, HALTED_FLOOR = (
    R(2, "1.1.0", state="paused", floor=True),
    R(2, "1.1.0", state="halted", floor=True),
)
FOR_IOS = R(1, "1.0.0", platform="ios")


def ios(code: int, version: str, min_os: str) -> R:
    return R(code, version, platform="ios", min_os=min_os)


CASES = (
    # System.
    Case("a phone with a newer Android is offered it", (NEEDS_26,), "1.0.0+1", 2, more={"sdk": 34}),
    Case(
        "a phone with exactly the Android that is needed is offered it",
        (NEEDS_26,),
        "1.0.0+1",
        2,
        more={"sdk": 26},
    ),
    Case(
        "a phone with an older Android is not", (NEEDS_26,), "1.0.0+1", None, "os_too_old", more={"sdk": 25}
    ),
    Case(
        "a phone that does not report its system is not held back",
        (R(2, "1.1.0", min_sdk=26, abis=(ARM64,)),),
        "1.0.0+1",
        2,
    ),
    Case("a release without a minimum Android fits every phone", (TWO,), "1.0.0+1", 2, more={"sdk": 1}),
    Case(
        "below a release that does not fit, the older one that fits is offered",
        (ONE, TWO, R(3, "1.2.0", min_sdk=26)),
        "1.0.0+1",
        2,
        more={"sdk": 25},
    ),
    Case(
        "of three releases, the newest one that fits is offered",
        (R(2, "1.1.0", min_sdk=21), R(3, "1.2.0", min_sdk=24), R(4, "1.3.0", min_sdk=26)),
        "1.0.0+1",
        3,
        more={"sdk": 25},
    ),
    Case(
        "the system of the newest release is the reason before a pause of an older one",
        (R(2, "1.1.0", state="paused"), R(3, "1.2.0", min_sdk=26)),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25},
    ),
    Case(
        "the system is the reason before a pause of the same release",
        (R(2, "1.1.0", state="paused", min_sdk=26),),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25},
    ),
    Case(
        "the system is the reason before the percentage",
        (R(2, "1.1.0", 500, min_sdk=26),),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25},
    ),
    Case(
        "a phone that runs a release that does not fit it is up to date",
        (NEEDS_26,),
        "1.1.0+2",
        None,
        "up_to_date",
        more={"sdk": 25},
    ),
    Case(
        "a user-initiated check does not make a phone newer",
        (NEEDS_26,),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25, **USER_INITIATED},
    ),
    Case(
        "a group does not make a phone newer",
        (R(2, "1.1.0", min_sdk=26, groups=TESTERS),),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25},
        groups=TESTERS,
    ),
    Case(
        "below a beta release that does not fit, stable is offered",
        (TWO, R(3, "1.2.0", min_sdk=26, channel="beta")),
        "1.0.0+1",
        2,
        more={"sdk": 25, **BETA},
    ),
    Case(
        "an iPhone with the iOS that is needed is offered it",
        (FOR_IOS, ios(2, "1.1.0", "17.0")),
        "1.0.0+1",
        2,
        more={"os_version": "17", **IOS},
    ),
    Case(
        "an iPhone with an older iOS is not",
        (FOR_IOS, ios(2, "1.1.0", "17.0")),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"os_version": "16.7.10", **IOS},
    ),
    Case(
        "an iPhone with an older iOS gets the older one that fits",
        (ios(2, "1.1.0", "15.0"), ios(3, "1.2.0", "17.0")),
        "1.0.0+1",
        2,
        more={"os_version": "16.7", **IOS},
    ),
    Case(
        "versions of iOS are compared as numbers, not as text",
        (ios(2, "1.1.0", "9.3"),),
        "1.0.0+1",
        2,
        more={"os_version": "10.0", **IOS},
    ),
    Case(
        "the third number of a version of iOS counts",
        (ios(2, "1.1.0", "15.4.1"),),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"os_version": "15.4", **IOS},
    ),
    Case(
        "an iPhone that does not report its iOS is not held back",
        (ios(2, "1.1.0", "17.0"),),
        "1.0.0+1",
        2,
        more=IOS,
    ),
    # Processor.
    Case(
        "a phone with the right processor is offered it", (FOR_ARM64,), "1.0.0+1", 2, more={"abis": [ARM64]}
    ),
    Case(
        "one processor of several is enough",
        (R(2, "1.1.0", abis=(ARM64, X86)),),
        "1.0.0+1",
        2,
        more={"abis": ["armeabi-v7a", X86]},
    ),
    Case(
        "a phone with another processor is not",
        (FOR_ARM64,),
        "1.0.0+1",
        None,
        "abi_unsupported",
        more={"abis": [X86]},
    ),
    Case(
        "a build without native code runs on all processors", (TWO,), "1.0.0+1", 2, more={"abis": ["riscv64"]}
    ),
    Case(
        "a phone that reports no processor is not held back",
        (FOR_ARM64,),
        "1.0.0+1",
        2,
        more={"abis": []},
    ),
    Case(
        "below a build for other processors, the older one that runs is offered",
        (TWO, R(3, "1.2.0", abis=(ARM64,))),
        "1.0.0+1",
        2,
        more={"abis": [X86]},
    ),
    Case(
        "the system is the reason before the processor",
        (R(2, "1.1.0", min_sdk=26, abis=(ARM64,)),),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25, "abis": [X86]},
    ),
    # Signer.
    Case(
        "a phone on a build of another signer is not offered it",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="new")),
        "1.0.0+1",
        None,
        "other_signer",
    ),
    Case(
        "a phone on a build of the same signer is offered it",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="old")),
        "1.0.0+1",
        2,
    ),
    Case(
        "a phone on a build of an earlier signer in the lineage is offered it",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="new", follows="old")),
        "1.0.0+1",
        2,
    ),
    Case(
        "below a build of another signer, the last one of its own is offered",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="old"), R(3, "1.2.0", signer="new")),
        "1.0.0+1",
        2,
    ),
    Case(
        "a phone on an unknown version can be offered any signer",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="new")),
        "0.9.0+0",
        2,
    ),
    Case(
        "a phone on an external file can be offered any signer",
        (ONE, R(2, "1.1.0", signer="old"), R(3, "1.2.0", signer="new")),
        "1.0.0+1",
        3,
    ),
    Case(
        "the signer of a withdrawn version still counts for its phones",
        (R(1, "1.0.0", signer="old", state="withdrawn"), R(2, "1.1.0", signer="new")),
        "1.0.0+1",
        None,
        "other_signer",
        withdrawn=True,
    ),
    # Open floors.
    Case("a floor is offered before the releases above it", (ONE, FLOOR, THREE), "1.0.0+1", 2),
    Case("a device on the floor goes on", (FLOOR, THREE), "1.1.0+2", 3),
    Case("a device above the floor goes on", (ONE, FLOOR, THREE, R(4, "1.3.0")), "1.2.0+3", 4),
    Case("the floor is offered if it is the newest release", (ONE, FLOOR), "1.0.0+1", 2),
    Case(
        "of two floors, the lower one comes first",
        (FLOOR, R(3, "1.2.0", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        2,
    ),
    Case(
        "after the first floor comes the second",
        (FLOOR, R(3, "1.2.0", floor=True), R(4, "1.3.0")),
        "1.1.0+2",
        3,
    ),
    Case(
        "a floor above the offer does not matter",
        (TWO, R(3, "1.2.0", state="paused", floor=True)),
        "1.0.0+1",
        2,
    ),
    Case("a floor behind the device does not matter", (PAUSED_FLOOR, THREE), "1.1.0+2", 3),
    Case(
        "a floor on a fallback applies to beta devices",
        (FLOOR, R(3, "1.2.0", channel="beta")),
        "1.0.0+1",
        2,
        more=BETA,
    ),
    Case(
        "a floor on beta does not apply to stable devices",
        (R(2, "1.1.0", channel="beta", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case("without a build, the names decide where the floor is", (FLOOR, THREE), "1.0.0", 2),
    Case("without a build, a device with the floor's name goes on", (FLOOR, THREE), "1.1.0", 3),
    Case(
        "a floor that has not started is no floor yet",
        (R(2, "1.1.0", starts_in=60, floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case(
        "a floor that was rolled back is no floor any more",
        (R(2, "1.1.0", state="rolled_back", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case(
        "a floor that was withdrawn is no floor any more",
        (R(2, "1.1.0", state="withdrawn", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case(
        "a floor ignores its percentage for devices that would jump across it",
        (R(2, "1.1.0", 1_000, floor=True), THREE),
        "1.0.0+1",
        2,
    ),
    Case(
        "a partial floor without a release above it is only for its devices",
        (R(2, "1.1.0", 1_000, floor=True),),
        "1.0.0+1",
        None,
        "not_in_rollout",
    ),
    Case(
        "a user-initiated check does not jump across a floor",
        (FLOOR, THREE),
        "1.0.0+1",
        2,
        more=USER_INITIATED,
    ),
    Case(
        "a member of a group does not jump across a floor",
        (FLOOR, R(3, "1.2.0", 0, groups=TESTERS)),
        "1.0.0+1",
        2,
        groups=TESTERS,
    ),
    Case(
        "a floor is offered even if the release above it is closed to the device",
        (FLOOR, R(3, "1.2.0", 500)),
        "1.0.0+1",
        2,
    ),
    Case(
        "a floor below an arm comes first",
        (FLOOR, R(3, "1.2.0", 5_000, arm_from=0), R(4, "1.3.0", 5_000, arm_from=5_000)),
        "1.0.0+1",
        2,
    ),
    # Closed floors.
    Case("a paused floor lets no device pass", (PAUSED_FLOOR, THREE), "1.0.0+1", None, "paused"),
    Case("a halted floor lets no device pass", (HALTED_FLOOR, THREE), "1.0.0+1", None, "halted"),
    Case(
        "a floor at a rollout of zero lets no device pass",
        (R(2, "1.1.0", 0, floor=True), THREE),
        "1.0.0+1",
        None,
        "not_in_rollout",
    ),
    Case(
        "a floor at a rollout of zero lets no user-initiated check pass",
        (R(2, "1.1.0", 0, floor=True), THREE),
        "1.0.0+1",
        None,
        "not_in_rollout",
        more=USER_INITIATED,
    ),
    Case(
        "a floor at a rollout of zero is open to its group",
        (R(2, "1.1.0", 0, groups=TESTERS, floor=True), THREE),
        "1.0.0+1",
        2,
        groups=TESTERS,
    ),
    Case(
        "a floor that needs a newer system lets no older phone pass",
        (R(2, "1.1.0", min_sdk=26, floor=True), THREE),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25},
    ),
    Case(
        "a floor for another processor lets no device pass",
        (R(2, "1.1.0", abis=(ARM64,), floor=True), THREE),
        "1.0.0+1",
        None,
        "abi_unsupported",
        more={"abis": [X86]},
    ),
    Case(
        "below a closed floor, the newest open release is offered",
        (TWO, R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        2,
    ),
    Case(
        "below a closed floor, a partial release is offered to its devices",
        (R(2, "1.1.0", 1_000), R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        2,
        device=EARLY,
    ),
    Case(
        "an open second floor does not open a closed first one",
        (PAUSED_FLOOR, R(3, "1.2.0", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        None,
        "paused",
    ),
    Case(
        "a closed floor does not block its own version on another channel",
        (R(2, "1.1.0", state="paused", channel="beta", floor=True), TWO),
        "1.0.0+1",
        2,
        more=BETA,
    ),
    Case(
        "a closed second floor does not matter before the first",
        (FLOOR, R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        2,
    ),
    Case(
        "a closed second floor matters on the first",
        (FLOOR, R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")),
        "1.1.0+2",
        None,
        "paused",
    ),
    Case(
        "a floor that is closed on beta and open on stable lets devices pass",
        (R(2, "1.1.0", state="paused", channel="beta", floor=True), FLOOR, R(3, "1.2.0", channel="beta")),
        "1.0.0+1",
        2,
        more=BETA,
    ),
    Case(
        "a pause of a closed floor does not apply to the other channel",
        (R(2, "1.1.0", state="paused", channel="beta", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
)
