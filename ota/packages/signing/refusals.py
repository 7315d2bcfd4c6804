"""The sentences for signatures that aren't accepted. Each says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from ota.errors import Rejected

# Everything that the parsers of certificates, keys and PKCS #7 raise for hostile bytes. Failures of the disk or of memory
# aren't among them: those say nothing about the build.
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
    """The signature does not hold. ``what`` completes "is not valid:"."""
    return Rejected(
        "bad_signature",
        f"The APK's signature is not valid: {what}. Build and sign it again, and change nothing afterwards.",
    )


def stripped(newer: str, older: str) -> Rejected:
    """The older signature says that a newer one was made, and it is gone."""
    return Rejected(
        "stripped_signature",
        f"The APK's {newer} signature was removed: its {older} signature says that there was one. Upload the file as it was signed.",
    )


def weak(what: str) -> Rejected:
    """The signature may hold, and proves too little. ``what`` is a clause with the way out."""
    return Rejected("weak_signature", f"The APK's signature is too weak: {what}.")


def unsigned() -> Rejected:
    """No scheme at all."""
    return Rejected(
        "unsigned",
        "The APK is not signed. Sign it with your release key, for example with apksigner, and upload it again.",
    )


@contextmanager
def parsing(what: str) -> Iterator[None]:
    """Turns every failure on hostile bytes into a `Rejected` that says that ``what`` can't be read."""
    try:
        yield
    except _FAILURES as error:
        raise bad(f"{what} can't be read") from error
