"""Write the icon sprite: ``python scripts/icons.py <folder of an unpacked lucide-static package>``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

NAMES = [
    "activity",
    "boxes",
    "check",
    "chevron-down",
    "chevron-right",
    "circle-alert",
    "circle-check",
    "circle-x",
    "clipboard-copy",
    "clock",
    "download",
    "ellipsis",
    "external-link",
    "file-archive",
    "git-branch",
    "history",
    "key-round",
    "link",
    "log-out",
    "minus",
    "package",
    "pause",
    "pencil",
    "play",
    "plus",
    "power",
    "rocket",
    "rotate-ccw",
    "search",
    "settings",
    "share-2",
    "shield-check",
    "smartphone",
    "trash-2",
    "triangle-alert",
    "undo-2",
    "upload",
    "user",
    "users",
    "book-open",
]
TARGET = Path(__file__).parent.parent / "static" / "vendor" / "lucide" / "sprite.svg"


def symbol(name: str, source: str) -> str:
    """Return an icon as a symbol, with its drawing only."""
    body = re.search(r"<svg[^>]*>(.*)</svg>", source, re.DOTALL)
    assert body, name
    drawing = re.sub(r"\s+", " ", body[1]).strip()
    style = (
        'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
    )
    return f'<symbol id="{name}" viewBox="0 0 24 24" {style}>{drawing}</symbol>'


def main(package: Path) -> None:
    """Write the sprite."""
    symbols = [symbol(name, (package / "icons" / f"{name}.svg").read_text()) for name in NAMES]
    TARGET.write_text('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
