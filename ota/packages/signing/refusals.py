"""The errors for signatures that aren't accepted. Each message names the problem and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from ota.errors import Rejected

# Every exception that the parsers of certificates, keys and PKCS #7 raise for hostile bytes. Failures of the
# disk or of
# memory are left out, since they say nothing about the build.
_FAILURES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    InvalidSignature,
    UnsupportedAlgorithm,
)


def bad(what: str) -> Rejected:
    """Return the error for a signature that does not hold. ``what`` completes "is not valid:"."""
    return Rejected(
        "bad_signature",
        f"The APK's signature is not valid: {what}. Build and sign it again, and change nothing afterwards.",
    )


def stripped(newer: str, older: str) -> Rejected:
    """Return the error for a missing signature that an older signature announces."""
    return Rejected(
        "stripped_signature",
        f"The APK's {newer} signature was removed: its {older} signature says that there was one. Upload the "
        "file as it was signed.",
    )


def weak(what: str) -> Rejected:
    """Return the error for a signature that proves too little, even if it holds.

    ``what`` includes the remedy.
    """
    return Rejected("weak_signature", f"The APK's signature is too weak: {what}.")


def unsigned() -> Rejected:
    """Return the error for an APK without any signature."""
    return Rejected(
        "unsigned",
        "The APK is not signed. Sign it with your release key, for example with apksigner, and upload it "
        "again.",
    )


@contextmanager
def parsing(what: str) -> Iterator[None]:
    """Turn every failure on hostile bytes into a `Rejected` saying that ``what`` can't be read."""
    try:
        yield
    except _FAILURES as error:
        raise bad(f"{what} can't be read") from error
