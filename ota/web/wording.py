"""What is read from builds, in words for the pages."""

from __future__ import annotations

from ota.core.platforms import android_release

CHECKS = {
    "file": "File",
    "signature": "Signature",
    "signer": "Signer",
    "package_id": "Package id",
    "debuggable": "Debuggable",
    "version_code": "Version code",
    "min_sdk": "Minimum Android",
    "minimum_os": "Minimum iOS",
    "abis": "Processors",
    "profile": "Provisioning profile",
    "https": "Address",
}
"""The preflight's checks by their stable names."""

HELD_BACK = {
    "not_in_rollout": "Outside the rollout",
    "paused": "Held by the pause",
    "halted": "Held by the halt",
    "shut_off": "Updates are switched off",
    "os_too_old": "System too old",
    "abi_unsupported": "Processor does not fit",
    "other_signer": "Signed by somebody else",
    "not_comparable": "Versions can't be compared",
    "newer_release": "Offered a newer release",
    "floor_first": "Offered a floor first",
}
"""Why devices are not offered a release, in a preview."""


def check_name(name: str) -> str:
    return CHECKS[name]


def held_back(reason: str) -> str:
    return HELD_BACK.get(reason, reason.replace("_", " ").capitalize())


def android(sdk: int | None) -> str:
    return android_release(sdk) if sdk else "any Android"


def size_change(after: int | None, before: int | None) -> str:
    """How much larger or smaller than before, such as ``+12.5 %``; nothing where that is not known."""
    if not after or not before or after == before:
        return ""
    if after > 10 * before:
        return f"{after / before:,.0f} times as large"
    return f"{(after - before) / before * 100:+.1f} %".replace("-", "\N{MINUS SIGN}")


def capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def approval(above: int | None) -> str:
    """A channel's two-person rule in a sentence."""
    if above is None:
        return "One person is enough to publish."
    return (
        f"Releases above {above / 100:g} % need a second person."
        if above
        else "Every release needs a second person."
    )


FILTERS = {
    "approval": approval,
    "check_name": check_name,
    "held_back": held_back,
    "android_release": android,
    "size_change": size_change,
    "capitalize_first": capitalize_first,
}
