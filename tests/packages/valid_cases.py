"""APKs with valid signatures."""

from __future__ import annotations

from tests.builders import schemes as s
from tests.builders.jars import jar
from tests.builders.packages import archive
from tests.builders.schemes import ALL_FLAGS, attribute, lineage, signed
from tests.packages.cases import add, all_three, by, entries, jarred, plain, v2_only, who


def _proof() -> tuple[int, bytes]:
    return lineage(who("A"), who("B"))


add("valid-v1", lambda: jarred("A"), min_sdk=21)
add("valid-v1-from-android-7", lambda: jarred("A", min_sdk=24))
add("valid-v2", v2_only)
add("valid-v3", lambda: signed(plain(28), v3=[by()]), min_sdk=28)
add("valid-v1-v2", lambda: signed(jarred("A", header="2"), v2=[by()]), min_sdk=21)
add("valid-v1-v3", lambda: signed(jarred("A", header="3"), v3=[by()]), min_sdk=21)
add("valid-v2-v3", lambda: signed(plain(), v2=[by()], v3=[by()]))
add("valid-v1-v2-v3", all_three, min_sdk=21)
add("valid-v2-target-34", lambda: signed(plain(24, 34), v2=[by()]), target_sdk=34)

add("valid-v1-sha1-from-android-2", lambda: jarred("A", min_sdk=9, digest="SHA-1"), min_sdk=9)
add("valid-v1-sha512", lambda: jarred("A", digest="SHA-512"), min_sdk=21)
add("valid-v1-signed-attributes", lambda: jarred("A", signed_attributes=True), min_sdk=21)
add("valid-v1-section-digests-only", lambda: jarred("A", whole=False), min_sdk=21)
add("valid-v1-ec", lambda: jarred("A:EC P-256"), min_sdk=21, by=("A:EC P-256",))
add("valid-v1-dsa", lambda: jarred("A:DSA 1024", digest="SHA-1"), min_sdk=21, by=("A:DSA 1024",))
add("valid-v1-two-signers", lambda: jarred("A", "B"), min_sdk=21, by=("A", "B"))
add(
    "valid-v1-extra-meta-inf-file",
    lambda: archive({**jar(entries(21), who("A")), "META-INF/services/x": b"more"}),
    min_sdk=21,
)

for _kind, _ids in {
    "A": (s.PSS_SHA256, s.PSS_SHA512, s.PKCS1_SHA256, s.PKCS1_SHA512),
    "A:EC P-256": (s.ECDSA_SHA256, s.ECDSA_SHA512),
    "A:EC P-384": (s.ECDSA_SHA256, s.ECDSA_SHA512),
    "A:DSA 1024": (s.DSA_SHA256,),
}.items():
    for _id in _ids:
        _label = (_kind.partition(":")[2] or "RSA 2048").replace(" ", "-").lower()
        add(
            f"valid-v2-{_label}-{_id:04x}",
            lambda kind=_kind, key=_id: signed(plain(), v2=[by(kind, key)]),
            by=(_kind,),
        )  # type: ignore[misc]
for _kind, _id in {"A": s.VERITY_RSA, "A:EC P-256": s.VERITY_EC, "A:DSA 1024": s.VERITY_DSA}.items():
    add(
        f"valid-v3-verity-{_id:04x}",
        lambda kind=_kind, key=_id: signed(plain(28), v3=[by(kind, key)]),
        min_sdk=28,
        by=(_kind,),
    )  # type: ignore[misc]
add("valid-v2-verity-beside-sha256", lambda: signed(plain(), v2=[by("A", s.PKCS1_SHA256, s.VERITY_RSA)]))
add("valid-v2-two-algorithms", lambda: signed(plain(), v2=[by("A", s.PKCS1_SHA256, s.PKCS1_SHA512)]))
add("valid-v2-unknown-algorithm-beside", lambda: signed(plain(), v2=[by("A", s.PKCS1_SHA256, 0x0999)]))
add("valid-v2-two-signers", lambda: signed(plain(), v2=[by(), by("B")]), by=("A", "B"))
add(
    "valid-v2-with-padding-and-unknown-blocks",
    lambda: signed(plain(), v2=[by()], more=[(s.PADDING, bytes(64)), (0x504B4453, b"x")]),
)
add("valid-v2-large", lambda: signed(archive({**entries(), "big": bytes(range(256)) * 12_000}, 0), v2=[by()]))

add(
    "valid-v3-rotated",
    lambda: signed(plain(28), v3=[by("B", attributes=[lineage(who("A"), who("B"))])]),
    min_sdk=28,
    by=("B",),
)
add(
    "valid-v1-v2-v3-rotated",
    lambda: signed(
        jarred("A", header="2, 3"), v2=[by()], v3=[by("B", attributes=[lineage(who("A"), who("B"))])]
    ),
    min_sdk=21,
    by=("B",),
)
add(
    "valid-v3-rotated-twice-to-ec",
    lambda: signed(
        plain(), v2=[by()], v3=[by("C:EC P-256", attributes=[lineage(who("A"), who("B"), who("C:EC P-256"))])]
    ),
    by=("C:EC P-256",),
)
add(
    "valid-v3-rotated-without-installed-data",
    lambda: signed(plain(28), v3=[by("B", attributes=[lineage(who("A"), who("B"), flags=ALL_FLAGS & ~1)])]),
    min_sdk=28,
    by=("B",),
)
add(
    "valid-v3-two-ranges",
    lambda: signed(
        plain(28), v3=[by("A", last=29), by("B", first=30, attributes=[lineage(who("A"), who("B"))])]
    ),
    min_sdk=28,
    by=("B",),
)

add(
    "valid-v31",
    lambda: signed(
        plain(28),
        v3=[by(last=32, attributes=[attribute(s.ROTATION_MIN_SDK, 33)])],
        v31=[by("B", first=33, attributes=[_proof()])],
    ),
    min_sdk=28,
    by=("B",),
    is_v31=True,
)
add(
    "valid-v1-v2-v3-v31",
    lambda: signed(
        jarred("A", header="2, 3"),
        v2=[by()],
        v3=[by(last=33, attributes=[attribute(s.ROTATION_MIN_SDK, 34)])],
        v31=[by("B", first=34, attributes=[_proof()])],
    ),
    min_sdk=21,
    by=("B",),
    is_v31=True,
)
add(
    "valid-v31-two-ranges",
    lambda: signed(
        plain(28),
        v3=[by(last=32, attributes=[attribute(s.ROTATION_MIN_SDK, 33)])],
        v31=[
            by("B", first=33, last=33, attributes=[_proof()]),
            by("C", first=34, attributes=[lineage(who("A"), who("B"), who("C"))]),
        ],
    ),
    min_sdk=28,
    by=("C",),
    is_v31=True,
)
