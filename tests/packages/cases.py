"""Building blocks of the corpus of signed APKs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tests.builders.axml import Element, encode
from tests.builders.jars import jar
from tests.builders.keys import Signer, signer
from tests.builders.packages import archive
from tests.builders.schemes import By, signed

VALID = "valid"
BAD = "bad_signature"
CONTENT = b"The content of an entry, which does not matter. " * 4


@dataclass(frozen=True)
class Case:
    """One APK. ``expected`` is `VALID` or the code of the rejection; ``by`` names the signers of a valid one.

    ``is_v31``: apksigner 31 does not know v3.1, so its verdict on this APK does not count.
    """

    name: str
    build: Callable[[], bytes]
    expected: str = VALID
    by: tuple[str, ...] = ("A",)
    min_sdk: int = 24
    target_sdk: int = 29
    is_v31: bool = False

    @property
    def signers(self) -> frozenset[str]:
        return frozenset(who(each).sha256 for each in self.by)


CASES: dict[str, Case] = {}


def add(name: str, build: Callable[[], bytes], expected: str = VALID, **more: object) -> None:
    """Add a case to the corpus. Its file is built once, on first use."""
    assert name not in CASES, name
    CASES[name] = Case(name, cache(build), expected, **more)  # type: ignore[arg-type]


def who(name: str) -> Signer:
    """Return the signer of this name: ``A`` has an RSA key, ``A:EC P-256`` one of the named kind."""
    person, _, kind = name.partition(":")
    return signer(person, kind or "RSA 2048")


def entries(min_sdk: int = 24, target_sdk: int = 29) -> dict[str, bytes]:
    """Return the entries that every APK of the corpus has."""
    sdk = Element("uses-sdk", {"minSdkVersion": min_sdk, "targetSdkVersion": target_sdk})
    application = Element("application", {"label": "Example", "hasCode": False})
    root = Element(
        "manifest", {"package": "com.example.app", "versionCode": 1, "versionName": "1"}, [sdk, application]
    )
    return {
        "AndroidManifest.xml": encode(root),
        "assets/content.bin": CONTENT,
        "assets/" + "long/" * 20 + "name.txt": b"long",
    }


def plain(min_sdk: int = 24, target_sdk: int = 29) -> bytes:
    return archive(entries(min_sdk, target_sdk))


def jarred(*names: str, min_sdk: int = 21, target_sdk: int = 29, **options: object) -> bytes:
    """Return the APK signed with v1."""
    return archive(jar(entries(min_sdk, target_sdk), *map(who, names), **options))  # type: ignore[arg-type]


def by(name: str = "A", *algorithms: int, **more: object) -> By:
    return By(who(name), algorithms, **more)  # type: ignore[arg-type]


def all_three(min_sdk: int = 21) -> bytes:
    """Return an ordinary build: v1, v2 and v3 by one signer."""
    return signed(jarred("A", min_sdk=min_sdk, header="2, 3"), v2=[by()], v3=[by()])


def v2_only() -> bytes:
    return signed(plain(), v2=[by()])
