"""Random damage to real archives, reproducible by seed."""

from __future__ import annotations

import random
import struct


def mutated(content: bytes, seed: int) -> bytes:
    """Damage the content one to four times, each time in a way that an attacker could try."""
    dice = random.Random(seed)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        content = dice.choice(_ACTS)(content, dice)
    return content


def flip_bit(content: bytes, at: int, bit: int = 0) -> bytes:
    """Return the content with one bit of the byte at this offset changed."""
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def _place(content: bytes, dice: random.Random) -> int:
    """Choose an offset, more often near a structure of the format, where readers disagree."""
    marks = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"APK Sig Block 42")
    at = content.find(dice.choice(marks), dice.randrange(len(content) or 1)) if dice.random() < 0.6 else -1
    at = at + dice.randrange(-30, 60) if at >= 0 else dice.randrange(len(content) or 1)
    return max(0, min(at, len(content) - 1))


def _flip(content: bytes, dice: random.Random) -> bytes:
    at, bit = _place(content, dice), dice.randrange(8)
    return flip_bit(content, at, bit) if content else content


def _overwrite(content: bytes, dice: random.Random) -> bytes:
    at, size = _place(content, dice), dice.randrange(1, 20)
    return content[:at] + dice.randbytes(size) + content[at + size :]


def _insert(content: bytes, dice: random.Random) -> bytes:
    at = dice.choice((0, len(content), _place(content, dice)))
    return (
        content[:at]
        + dice.choice((dice.randbytes(dice.randrange(1, 64)), b"\0" * dice.randrange(1, 64)))
        + content[at:]
    )


def _remove(content: bytes, dice: random.Random) -> bytes:
    at = _place(content, dice)
    return content[:at] + content[at + dice.randrange(1, 200) :]


def _cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content) or 1)]


def _repeat(content: bytes, dice: random.Random) -> bytes:
    at, to = _place(content, dice), _place(content, dice)
    return content[:to] + content[at : at + dice.randrange(1, 400)] + content[to:]


def _swap(content: bytes, dice: random.Random) -> bytes:
    one, other = sorted((_place(content, dice), _place(content, dice)))
    size = min(dice.randrange(1, 100), other - one)
    return (
        content[:one]
        + content[other : other + size]
        + content[one + size : other]
        + content[one : one + size]
        + content[other + size :]
    )


def _number(content: bytes, dice: random.Random) -> bytes:
    at, layout = _place(content, dice), dice.choice(("<H", "<I", "<Q"))
    limit = 256 ** struct.calcsize(layout)
    value = dice.choice((0, 1, limit - 1, limit // 2, dice.randrange(limit)))
    return content[:at] + struct.pack(layout, value) + content[at + struct.calcsize(layout) :]


_ACTS = (_flip, _flip, _overwrite, _insert, _remove, _cut, _repeat, _swap, _number, _number)
