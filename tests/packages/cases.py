"""What the corpus of signed APKs is made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tests.builders.axml import Element, encode
from tests.builders.keys import Signer, signer
from tests.builders.packages import archive
from tests.builders.schemes import By, jar, signed

VALID = "valid"
CONTENT = b"The content of an entry, which does not matter. " * 4


@dataclass(frozen=True)
class Case:
    """One APK. ``expected`` is `VALID` or the code of the rejection; ``by`` names the signers that a valid one has.

    ``is_v31``: apksigner 31 knows nothing of v3.1, so that its verdict says nothing about this one.
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
    """Put a case into the corpus; its file is made when it is needed, once."""
    assert name not in CASES, name
    CASES[name] = Case(name, cache(build), expected, **more)  # type: ignore[arg-type]


def who(name: str) -> Signer:
    """``A`` is an RSA signer; ``A:EC P-256`` says which kind."""
    person, _, kind = name.partition(":")
    return signer(person, kind or "RSA 2048")


def entries(min_sdk: int = 24, target_sdk: int = 29) -> dict[str, bytes]:
    """What is in every APK of the corpus."""
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
    """Signed with v1."""
    return archive(jar(entries(min_sdk, target_sdk), *map(who, names), **options))  # type: ignore[arg-type]


def by(name: str = "A", *algorithms: int, **more: object) -> By:
    return By(who(name), algorithms, **more)  # type: ignore[arg-type]


def all_three(min_sdk: int = 21) -> bytes:
    """The ordinary build: v1, v2 and v3 by one signer."""
    return signed(jarred("A", min_sdk=min_sdk, header="2, 3"), v2=[by()], v3=[by()])


def v2_only() -> bytes:
    return signed(plain(), v2=[by()])


def flipped(apk: bytes, at: int) -> bytes:
    """One bit changed."""
    return apk[:at] + bytes([apk[at] ^ 1]) + apk[at + 1 :]
