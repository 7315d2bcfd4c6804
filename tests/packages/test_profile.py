"""Provisioning profiles: which ones iOS would accept, and the facts that are read from them."""

from __future__ import annotations

import hashlib
import plistlib
from datetime import UTC, datetime
from typing import Any

import pytest
from asn1crypto import cms  # type: ignore[import-untyped, unused-ignore]
from hypothesis import given, settings
from hypothesis import strategies as st

from ota.core.platforms import ProfileType
from ota.errors import Rejected
from ota.packages.facts import MAX_LISTED, MAX_TEXT
from ota.packages.profile import MAX_ENTITLEMENTS, property_list, read
from tests.builders.profiles import DEVICES, EXPIRES_AT, SIGNER, TEAM, content, profile, signed
from tests.builders.signing import signer

BUNDLE = "com.example.app"


def refused(raw: bytes, bundle: str = BUNDLE) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(raw, bundle)
    return caught.value


def test_a_profile_names_team_app_devices_and_expiry() -> None:
    found, _ = read(profile(), BUNDLE)
    assert (found.type, found.name) == (ProfileType.AD_HOC, "Example ad-hoc")
    assert (found.team_id, found.team_name, found.app_id) == (TEAM, "Example Ltd", f"{TEAM}.{BUNDLE}")
    assert (found.devices, found.expires_at) == (DEVICES, EXPIRES_AT)


@pytest.mark.parametrize("kind", [ProfileType.DEVELOPMENT, ProfileType.AD_HOC, ProfileType.ENTERPRISE])
def test_the_types_that_install_over_the_air_are_told_apart(kind: ProfileType) -> None:
    found, _ = read(profile(kind=kind), BUNDLE)
    assert found.type is kind
    assert bool(found.devices) is (kind is not ProfileType.ENTERPRISE)


def test_a_store_profile_is_refused_with_a_remedy() -> None:
    error = refused(profile(kind=ProfileType.STORE))
    assert error.code == "store_profile"
    assert "over the air" in error.message
    assert "ad hoc" in error.message


def test_a_profile_for_no_device_at_all_is_still_an_ad_hoc_one() -> None:
    found, _ = read(profile(devices=[]), BUNDLE)
    assert (found.type, found.devices) == (ProfileType.AD_HOC, ())


def test_an_expired_profile_is_read_like_any_other() -> None:
    found, _ = read(profile(expires_at=datetime(2017, 7, 27, 9, 44, 49, tzinfo=UTC)), BUNDLE)
    assert found.expires_at == datetime(2017, 7, 27, 9, 44, 49, tzinfo=UTC)


@pytest.mark.parametrize(
    "app_id", [f"{TEAM}.{BUNDLE}", f"{TEAM}.*", f"{TEAM}.com.example.*", f"OLDPREFIX1.{BUNDLE}"]
)
def test_the_app_id_may_be_exact_or_a_wildcard(app_id: str) -> None:
    assert read(profile(app_id=app_id), BUNDLE)[0].app_id == app_id


@pytest.mark.parametrize(
    "app_id",
    [
        f"{TEAM}.com.example.other",
        f"{TEAM}.com.example",
        f"{TEAM}.com.example.app.*",
        f"{TEAM}.com.example.App",
        BUNDLE,
        TEAM,
        "*",
    ],
)
def test_a_profile_for_another_app_is_refused_naming_both(app_id: str) -> None:
    error = refused(profile(app_id=app_id))
    assert error.code == "profile_mismatch"
    assert app_id in error.message
    assert BUNDLE in error.message


def test_the_first_certificate_that_may_sign_is_shown() -> None:
    der = signer(SIGNER).certificate
    certificate = read(profile(), BUNDLE)[1]
    assert certificate is not None
    assert certificate.sha256 == hashlib.sha256(der).hexdigest()
    assert (certificate.subject, certificate.key) == (f"CN={SIGNER}", "RSA 2048")
    assert certificate.not_before == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("certificates", [None, [], [b"no certificate"], ["text"], 7, {"a": b"b"}], ids=repr)
def test_a_certificate_that_can_not_be_read_is_none(certificates: object) -> None:
    assert read(profile(DeveloperCertificates=certificates), BUNDLE)[1] is None


def test_entitlements_are_flat_texts() -> None:
    values: dict[str, tuple[object, str]] = {
        "get-task-allow": (False, "false"),
        "groups": (["a", "b"], "a, b"),
        "number": (7, "7"),
        "nested": ({"x": [True]}, "x: true"),
        "deep": ([[["x"]]], "…"),
        "raw": (b"123", "3 bytes"),
        "real": (1.5, "1.5"),
    }
    found, _ = read(profile(entitlements={name: value for name, (value, _) in values.items()}), BUNDLE)
    assert {name: found.entitlements[name] for name in values} == {
        name: text for name, (_, text) in values.items()
    }


def test_entitlements_are_capped_in_number_and_length() -> None:
    found, _ = read(profile(entitlements={f"key{index}": "v" * 1000 for index in range(1000)}), BUNDLE)
    assert len(found.entitlements) == MAX_ENTITLEMENTS
    assert max(map(len, found.entitlements.values())) == MAX_TEXT


def test_of_200_000_devices_only_the_first_are_kept() -> None:
    found, _ = read(profile(devices=[f"{index:040x}" for index in range(200_000)]), BUNDLE)
    assert len(found.devices) == MAX_LISTED


def test_names_lose_control_characters_and_are_cut() -> None:
    found, _ = read(profile(Name="a\u202eb\n" + "c" * 1000, TeamName="\u200b"), BUNDLE)
    assert found.name == "ab" + "c" * (MAX_TEXT - 2)
    assert found.team_name is None


def without_signer() -> bytes:
    whole = cms.ContentInfo.load(profile())
    whole["content"]["signer_infos"] = []
    return bytes(whole.dump(force=True))


def changed_payload() -> bytes:
    return profile().replace(b"Example Ltd", b"Another Ltd"[:11])


def detached() -> bytes:
    whole = cms.ContentInfo.load(profile())
    whole["content"]["encap_content_info"] = {"content_type": "data"}
    return bytes(whole.dump(force=True))


UNREADABLE = {
    "nothing": b"",
    "just a plist": plistlib.dumps(content()),
    "just a binary plist": plistlib.dumps(content(), fmt=plistlib.FMT_BINARY),
    "cut off": profile()[:-1],
    "bytes behind it": profile() + b"\0",
    "not signed data": cms.ContentInfo({"content_type": "data", "content": b"text"}).dump(),
    "signed by nobody": without_signer(),
    "another content than was signed": changed_payload(),
    "no content": detached(),
    "a signed text": signed(b"Hello"),
    "a signed list": signed(plistlib.dumps([content()])),
    "no team": profile(TeamIdentifier=None, entitlements={"com.apple.developer.team-identifier": 1}),
    "no end": profile(ExpirationDate=None),
    "no entitlements": profile(Entitlements=None),
    "no app id": profile(entitlements={"application-identifier": ["x"]}),
    "nested without end": b"\x30\x80" * 200_000,
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_profile_is_unreadable(raw: bytes) -> None:
    assert refused(raw).code == "unreadable_profile"


KEYS = [
    "Name",
    "UUID",
    "TeamIdentifier",
    "TeamName",
    "ExpirationDate",
    "Entitlements",
    "DeveloperCertificates",
    "ProvisionedDevices",
    "ProvisionsAllDevices",
]
VALUES: list[Any] = [
    7,
    -1.5,
    True,
    "text",
    "",
    b"bytes",
    [],
    [7],
    [[]],
    {},
    {"a": 1},
    datetime(1, 1, 1),  # noqa: DTZ001
    2**63,
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_of_another_type_is_refused_or_passed_over(key: str, value: object) -> None:
    try:
        found, _ = read(signed(plistlib.dumps({**content(), key: value})), BUNDLE)
    except Rejected:
        return
    assert all(isinstance(device, str) for device in found.devices)
    assert found.expires_at.tzinfo is UTC


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_mutation_of_a_profile_raises_anything_else(data: st.DataObject) -> None:
    raw = bytearray(profile())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(raw), BUNDLE)
    except Rejected:
        pass


@settings(deadline=None)
@given(st.data())
def test_no_mutation_that_is_validly_signed_raises_anything_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([plistlib.FMT_XML, plistlib.FMT_BINARY]))
    raw = bytearray(plistlib.dumps(content(), fmt=kind))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(signed(bytes(raw)), BUNDLE)
    except Rejected:
        pass


def binary(objects: list[bytes], offsets: list[int] | None = None) -> bytes:
    """Return a binary property list of these objects, the outermost first. References have two bytes."""
    positions, body = [], b"bplist00"
    for each in objects:
        positions.append(len(body))
        body += each
    places = offsets or positions
    table = b"".join(place.to_bytes(4, "big") for place in places)
    return (
        body
        + table
        + bytes(6)
        + bytes([4, 2])
        + len(places).to_bytes(8, "big")
        + bytes(8)
        + len(body).to_bytes(8, "big")
    )


def test_an_entitlement_that_contains_itself_is_cut_short() -> None:
    whole = content(devices=["one"], entitlements={"x": ["first", "second"]})
    raw = bytearray(plistlib.dumps(whole, fmt=plistlib.FMT_BINARY))
    offset_size, count, table = raw[-26], int.from_bytes(raw[-24:-16], "big"), int.from_bytes(raw[-8:], "big")
    offsets = [
        int.from_bytes(raw[table + offset_size * index :][:offset_size], "big") for index in range(count)
    ]
    index = next(index for index, at in enumerate(offsets) if raw[at] == 0xA2)
    raw[offsets[index] + 1 : offsets[index] + 3] = bytes([index, index])
    found, _ = read(signed(bytes(raw)), BUNDLE)
    assert found.entitlements["x"] == "…, …, …, …"


def test_thousands_of_objects_that_share_their_bytes_are_refused() -> None:
    text = b"\x5f\x11\x40\0" + b"x" * 0x4000
    raw = binary([b"\xd1\0\x01\0\x02", text], offsets=[8, *[13] * 5000])
    with pytest.raises(ValueError) as failure:
        property_list(raw)
    assert "overlap" in str(failure.value.__cause__)


@pytest.mark.parametrize("fmt", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_ordinary_property_lists_of_both_kinds_are_read(fmt: Any) -> None:
    value = {
        "text": "x" * 400,
        "wide": "日本" * 300,
        "data": b"\0" * 300,
        "many": list(range(-300, 300)),
        "real": 0.5,
        "yes": True,
        "nested": {str(index): [index] for index in range(40)},
        "when": datetime(2024, 1, 1),  # noqa: DTZ001
    }
    assert property_list(plistlib.dumps(value, fmt=fmt)) == value
