"""Verdicts on the corpus: ours, and that of Debian's ``apksigner``."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ota.errors import Rejected
from ota.packages.archive import open_archive
from ota.packages.facts import Signature
from ota.packages.signing import verify
from tests.packages.cases import VALID, Case

APKSIGNER = shutil.which("apksigner")
_PROCESSES = 2
_FINGERPRINT = re.compile(r"^Signer #\d+ certificate SHA-256 digest: (\w{64})$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """``code`` is `VALID` or that of the rejection; ``signers`` are the fingerprints in an accepted file."""

    code: str
    message: str = ""
    signers: frozenset[str] = frozenset()
    signature: Signature | None = None

    @property
    def is_accepted(self) -> bool:
        return self.code == VALID


def ours(case: Case, folder: Path) -> Verdict:
    path = folder / f"{case.name}.apk"
    path.write_bytes(case.build())
    return verdict_on(path, case.min_sdk, case.target_sdk)


def verdict_on(path: Path, min_sdk: int, target_sdk: int | None = None) -> Verdict:
    try:
        with open_archive(path) as archive:
            signature = verify(archive, min_sdk=min_sdk, target_sdk=target_sdk)
    except Rejected as error:
        return Verdict(error.code, error.message)
    return Verdict(VALID, "", frozenset(signature.signers), signature)


def theirs(cases: Iterable[Case], folder: Path) -> dict[str, Verdict]:
    """Return apksigner's verdict on each case, by name. A file that makes it fail counts as refused."""
    with ThreadPoolExecutor(_PROCESSES) as threads:
        return dict(threads.map(partial(_apksigner_verdict, folder), cases))


def _apksigner_verdict(folder: Path, case: Case) -> tuple[str, Verdict]:
    path = folder / f"{case.name}.apk"
    path.write_bytes(case.build())
    command = [str(APKSIGNER), "verify", "--print-certs", "-v", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode:
        return case.name, Verdict("refused", answer.stdout + answer.stderr)
    return case.name, Verdict(VALID, "", frozenset(_FINGERPRINT.findall(answer.stdout)))


NO_PSS = (
    "We accept what apksigner refuses: the Java that it runs on does not know RSASSA-PSS by the name that "
    "Android uses."
)
STRICTER = "We refuse what apksigner accepts: "
WEAK_KEY = STRICTER + "an RSA key of 768 bits can be factored, so that its signature proves nothing."
TWO_BLOCKS = (
    STRICTER + "Android takes the first of two signing blocks, other readers the last. No tool makes two."
)

# The explained differences from apksigner, by name of the case. Any other difference fails the tests.
DIFFERENCES = {
    "v1-weak-key": WEAK_KEY,
    "v2-weak-key": WEAK_KEY,
    "v3-weak-key-in-lineage": STRICTER
    + "an old key of 768 bits can be factored, which allows a proof of rotation to any other key.",
    "v2-twice": TWO_BLOCKS,
    "v3-twice": TWO_BLOCKS,
    "v2-eleven-signers": STRICTER + "apksigner 31 has no limit; later ones, and Android, allow ten signers.",
    "v3-two-signers-for-one-range": STRICTER
    + "Android refuses two v3 signers for one version; apksigner forgets all but one of them.",
    "v3-two-ranges-by-strangers": STRICTER
    + "without proof of rotation, old and new phones would get the app from two strangers.",
    "signed-with-entry-twice": STRICTER
    + "which of two entries with one name counts differs by reader. Newer phones refuse it as well.",
    "signed-with-entry-of-other-case": STRICTER
    + "two names that differ by capitals only are one file to some readers of archives.",
    "valid-v2-rsa-2048-0101": NO_PSS,
    "valid-v2-rsa-2048-0102": NO_PSS,
}
