"""Builds to read: bytes are written to a file and read as the server reads an upload."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ota.errors import Rejected
from ota.packages import PackageFacts, read_here
from tests.conftest import missing


def build_file(folder: Path, content: bytes) -> Path:
    """Write a build to a file, whose name says nothing about its kind."""
    path = folder / "build"
    path.write_bytes(content)
    return path


def read_build(folder: Path, content: bytes) -> PackageFacts:
    """Return the facts of a build, read and verified in this process."""
    return read_here(build_file(folder, content))


def rejection(folder: Path, content: bytes) -> Rejected:
    """Return the error with which a build is rejected."""
    with pytest.raises(Rejected) as caught:
        read_build(folder, content)
    return caught.value


def icon_color(folder: Path, content: bytes) -> Any:
    """Return the color (RGBA) in the middle of a build's icon, which has to be a PNG."""
    icon = read_build(folder, content).icon
    assert icon is not None
    with Image.open(io.BytesIO(icon)) as image:
        assert image.format == "PNG"
        return image.convert("RGBA").getpixel((image.width // 2, image.height // 2))


def aapt_badging(apk: Path) -> str:
    """Return the description of an APK by Android's own ``aapt``. Skips the test if that is not installed."""
    if shutil.which("aapt") is None:
        missing("aapt")
    result = subprocess.run(["aapt", "dump", "badging", apk], capture_output=True, check=False)
    return result.stdout.decode(errors="replace")
