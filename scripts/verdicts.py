"""The corpus of signed APKs as a table: ``python -m scripts.verdicts > docs/signatures.md``. Needs ``apksigner``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.packages.corpus import CASES, VALID
from tests.packages.verdicts import APKSIGNER, DIFFERENCES, Verdict, ours, theirs

INTRO = """\
# Signatures: what is accepted and what is not

Before an APK can become a version, the server verifies its signatures as phones do, and as `apksigner verify` does: every
scheme (v1, v2, v3, v3.1) that some phone between the app's lowest Android version and the newest looks at has to hold, and
all have to be by the same people, or by people whose succession is proved. The newest scheme names the signer. A newer
scheme that is present and broken is a rejection; the older one beside it is no way out.

The table is a corpus of small APKs made for the tests: some signed well, most signed badly, changed or stripped. The tests
compare each verdict with that of Debian's `apksigner`; a difference that isn't explained here fails them. That version of
`apksigner` is older than scheme v3.1, so for those files the expected verdict was written down from the published
description of the scheme.

"Valid" means that the file is accepted. The other words are the codes of rejections:

| Code | Meaning |
|---|---|
| `unsigned` | There is no signature. |
| `bad_signature` | A signature doesn't hold, can't be read, or is not by the people of the others. |
| `stripped_signature` | An older signature says that a newer one was made, and it is gone. |
| `duplicate_block` | A scheme is in the file twice; which one counts would depend on the reader. |
| `weak_signature` | The key is too short, or an app for Android 11 or later has nothing better than v1. |

Files that aren't one clear archive are refused before anybody looks at a signature; those codes (`lying_header`,
`prepended`, `trailing_bytes` and so on) are the archive reader's.

Scheme v1 protects neither what else lies in `META-INF/` nor the place of an entry in the file. That is how the scheme is,
on phones too, and why builds for Android 7 and later should carry v2 or newer.

## The corpus
"""


def main() -> int:
    if APKSIGNER is None:
        print("apksigner is needed for its half of the table.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = theirs([case for case in CASES.values() if not case.is_v31], folder)
        rows = [_row(each, ours(CASES[each], folder), said.get(each)) for each in CASES]
    print(INTRO)
    print(f"{len(CASES)} files, {len(DIFFERENCES)} of them with a verdict that differs on purpose.\n")
    print("| File | Our verdict | apksigner | Note |\n|---|---|---|---|")
    print("\n".join(rows))
    return 0


def _row(name: str, mine: Verdict, other: Verdict | None) -> str:
    theirs_shown = "knows no v3.1" if other is None else "valid" if other.is_accepted else "refused"
    mine_shown = VALID if mine.is_accepted else f"`{mine.code}`"
    return f"| {name} | {mine_shown} | {theirs_shown} | {DIFFERENCES.get(name, '')} |"


if __name__ == "__main__":
    sys.exit(main())
