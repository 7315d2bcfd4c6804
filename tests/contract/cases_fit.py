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
        "a phone that says nothing of its system is held back by nothing",
        (R(2, "1.1.0", min_sdk=26, abis=(ARM64,)),),
        "1.0.0+1",
        2,
    ),
    Case("a release that asks for no Android fits every one", (TWO,), "1.0.0+1", 2, more={"sdk": 1}),
    Case(
        "below what does not fit the older one that fits is offered",
        (ONE, TWO, R(3, "1.2.0", min_sdk=26)),
        "1.0.0+1",
        2,
        more={"sdk": 25},
    ),
    Case(
        "of three releases the newest that fits is offered",
        (R(2, "1.1.0", min_sdk=21), R(3, "1.2.0", min_sdk=24), R(4, "1.3.0", min_sdk=26)),
        "1.0.0+1",
        3,
        more={"sdk": 25},
    ),
    Case(
        "the system is the reason where a pause comes after it",
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
        "a phone that runs what it does not fit is up to date",
        (NEEDS_26,),
        "1.1.0+2",
        None,
        "up_to_date",
        more={"sdk": 25},
    ),
    Case(
        "asking by hand does not make a phone newer",
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
        "below a beta that does not fit stable is offered",
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
        "versions of iOS are compared as numbers and not as letters",
        (ios(2, "1.1.0", "9.3"),),
        "1.0.0+1",
        2,
        more={"os_version": "10.0", **IOS},
    ),
    Case(
        "the third part of a version of iOS counts",
        (ios(2, "1.1.0", "15.4.1"),),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"os_version": "15.4", **IOS},
    ),
    Case(
        "an iPhone that does not say its iOS is held back by nothing",
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
    Case("a build without code of a processor runs on all", (TWO,), "1.0.0+1", 2, more={"abis": ["riscv64"]}),
    Case(
        "a phone that lists no processor is held back by nothing",
        (FOR_ARM64,),
        "1.0.0+1",
        2,
        more={"abis": []},
    ),
    Case(
        "below a build for others the older one that runs is offered",
        (TWO, R(3, "1.2.0", abis=(ARM64,))),
        "1.0.0+1",
        2,
        more={"abis": [X86]},
    ),
    Case(
        "the system is told before the processor",
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
        "a phone on a build of the same signer is",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="old")),
        "1.0.0+1",
        2,
    ),
    Case(
        "a phone on a build of the signer that it follows is",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="new", follows="old")),
        "1.0.0+1",
        2,
    ),
    Case(
        "below a build of another signer the last one of its own is offered",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="old"), R(3, "1.2.0", signer="new")),
        "1.0.0+1",
        2,
    ),
    Case(
        "a phone on a version that is not known here may be offered any signer",
        (R(1, "1.0.0", signer="old"), R(2, "1.1.0", signer="new")),
        "0.9.0+0",
        2,
    ),
    Case(
        "a phone on a file that nobody here read may be offered any signer",
        (ONE, R(2, "1.1.0", signer="old"), R(3, "1.2.0", signer="new")),
        "1.0.0+1",
        3,
    ),
    Case(
        "the signer of a version that was withdrawn still keeps its phones",
        (R(1, "1.0.0", signer="old", state="withdrawn"), R(2, "1.1.0", signer="new")),
        "1.0.0+1",
        None,
        "other_signer",
        withdrawn=True,
    ),
    # Open floors.
    Case("a floor stands before what lies above it", (ONE, FLOOR, THREE), "1.0.0+1", 2),
    Case("a device on the floor goes on", (FLOOR, THREE), "1.1.0+2", 3),
    Case("a device above the floor goes on", (ONE, FLOOR, THREE, R(4, "1.3.0")), "1.2.0+3", 4),
    Case("the floor is offered where it is the newest", (ONE, FLOOR), "1.0.0+1", 2),
    Case(
        "of two floors the lowest comes first",
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
        "a floor on a fallback holds for beta devices",
        (FLOOR, R(3, "1.2.0", channel="beta")),
        "1.0.0+1",
        2,
        more=BETA,
    ),
    Case(
        "a floor on beta says nothing to stable devices",
        (R(2, "1.1.0", channel="beta", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case("without a build the names say where the floor lies", (FLOOR, THREE), "1.0.0", 2),
    Case("without a build a device with the floor's name goes on", (FLOOR, THREE), "1.1.0", 3),
    Case(
        "a floor that has not started is none yet",
        (R(2, "1.1.0", starts_in=60, floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case(
        "a floor that was rolled back is none any more",
        (R(2, "1.1.0", state="rolled_back", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case(
        "a floor that was withdrawn is none any more",
        (R(2, "1.1.0", state="withdrawn", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
    Case(
        "a floor passes its own percentage for those who would jump across",
        (R(2, "1.1.0", 1_000, floor=True), THREE),
        "1.0.0+1",
        2,
    ),
    Case(
        "a floor that is partly open is for its devices only where nothing lies above",
        (R(2, "1.1.0", 1_000, floor=True),),
        "1.0.0+1",
        None,
        "not_in_rollout",
    ),
    Case(
        "asking by hand does not jump across a floor",
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
        "a floor is offered though the release above it is not for the device",
        (FLOOR, R(3, "1.2.0", 500)),
        "1.0.0+1",
        2,
    ),
    Case(
        "a floor on the way to an arm comes first",
        (FLOOR, R(3, "1.2.0", 5_000, arm_from=0), R(4, "1.3.0", 5_000, arm_from=5_000)),
        "1.0.0+1",
        2,
    ),
    # Closed floors.
    Case("a paused floor lets nobody pass", (PAUSED_FLOOR, THREE), "1.0.0+1", None, "paused"),
    Case("a halted floor lets nobody pass", (HALTED_FLOOR, THREE), "1.0.0+1", None, "halted"),
    Case(
        "a floor at a rollout of zero lets nobody pass",
        (R(2, "1.1.0", 0, floor=True), THREE),
        "1.0.0+1",
        None,
        "not_in_rollout",
    ),
    Case(
        "a floor at a rollout of zero lets nobody pass by hand",
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
        "a floor that needs a newer system lets nobody pass without it",
        (R(2, "1.1.0", min_sdk=26, floor=True), THREE),
        "1.0.0+1",
        None,
        "os_too_old",
        more={"sdk": 25},
    ),
    Case(
        "a floor for another processor lets nobody pass",
        (R(2, "1.1.0", abis=(ARM64,), floor=True), THREE),
        "1.0.0+1",
        None,
        "abi_unsupported",
        more={"abis": [X86]},
    ),
    Case(
        "below a closed floor the newest release that is open is offered",
        (TWO, R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        2,
    ),
    Case(
        "below a closed floor a partial release is offered to its devices",
        (R(2, "1.1.0", 1_000), R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        2,
        device=EARLY,
    ),
    Case(
        "an open second floor is no way past a closed first one",
        (PAUSED_FLOOR, R(3, "1.2.0", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        None,
        "paused",
    ),
    Case(
        "a closed floor does not stand before its own version on another channel",
        (R(2, "1.1.0", state="paused", channel="beta", floor=True), TWO),
        "1.0.0+1",
        2,
        more=BETA,
    ),
    Case(
        "a closed second floor is no matter before the first",
        (FLOOR, R(3, "1.2.0", state="paused", floor=True), R(4, "1.3.0")),
        "1.0.0+1",
        2,
    ),
    Case(
        "on the first floor the closed second one is",
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
        "a pause of a closed floor does not hold in the other channel",
        (R(2, "1.1.0", state="paused", channel="beta", floor=True), THREE),
        "1.0.0+1",
        3,
    ),
)
