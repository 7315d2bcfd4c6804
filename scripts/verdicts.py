"""Print the corpus of signed APKs as a table: ``python -m scripts.verdicts > docs/signatures.md``. Needs ``apksigner``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.packages.corpus import CASES, VALID
from tests.packages.verdicts import APKSIGNER, DIFFERENCES, Verdict, ours, theirs

INTRO = """\
# Signatures: what is accepted and what is rejected

Before an APK can become a version, the server verifies its signatures as phones do, and as `apksigner verify` does. Every
scheme (v1, v2, v3, v3.1) that a phone between the app's lowest Android version and the newest one checks has to be valid.
All schemes have to be by the same signers, or by signers whose succession is proved by a lineage. The newest scheme names
the signer. If a newer scheme is present and broken, the file is rejected, even if an older one is valid.

The table lists a corpus of small APKs made for the tests: some are signed properly, most are signed badly, changed or
stripped. The tests compare each verdict with that of Debian's `apksigner`; a difference that is not explained here fails
them. That version of `apksigner` is older than scheme v3.1, so the expected verdict for those files was taken from the
published description of the scheme.

"Valid" means that the file is accepted. The other words are the codes of rejections:

| Code | Meaning |
|---|---|
| `unsigned` | The file has no signature. |
| `bad_signature` | A signature is invalid, cannot be read, or is by other signers than the rest. |
| `stripped_signature` | An older signature states that a newer one was made, and the newer one is missing. |
| `duplicate_block` | A scheme is present twice; which one counts would depend on the reader. |
| `weak_signature` | The key is too short, or an app for Android 11 or later has no scheme above v1. |

Files that are not one unambiguous archive are rejected before any signature is checked. Those codes (`lying_header`,
`prepended`, `trailing_bytes` and so on) come from the archive reader.

Scheme v1 protects neither other files in `META-INF/` nor the position of an entry in the file. This is a property of the
scheme, on phones too, and the reason why builds for Android 7 and later should carry v2 or newer.

## The corpus
"""


def main() -> int:
    if APKSIGNER is None:
        print("apksigner is required for its column of the table.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = theirs([case for case in CASES.values() if not case.is_v31], folder)
        rows = [_row(each, ours(CASES[each], folder), said.get(each)) for each in CASES]
    print(INTRO)
    print(f"{len(CASES)} files, {len(DIFFERENCES)} of them with a verdict that intentionally differs.\n")
    print("| File | Our verdict | apksigner | Note |\n|---|---|---|---|")
    print("\n".join(rows))
    return 0


def _row(name: str, mine: Verdict, other: Verdict | None) -> str:
    theirs_shown = "knows no v3.1" if other is None else "valid" if other.is_accepted else "refused"
    mine_shown = VALID if mine.is_accepted else f"`{mine.code}`"
    return f"| {name} | {mine_shown} | {theirs_shown} | {DIFFERENCES.get(name, '')} |"


if __name__ == "__main__":
    sys.exit(main())
