"""X.509 certificates of signers.

Only key and name count: for packages, Android trusts no authority and no date.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from asn1crypto import x509

from ota.packages.facts import Certificate, clean_text
from ota.packages.signing.algorithms import key_text, load_key
from ota.packages.signing.refusals import parsing

_SHORT_NAMES = {
    "common_name": "CN",
    "country_name": "C",
    "locality_name": "L",
    "state_or_province_name": "ST",
    "street_address": "STREET",
    "organization_name": "O",
    "organizational_unit_name": "OU",
    "domain_component": "DC",
    "user_id": "UID",
}


@dataclass(frozen=True)
class SigningCertificate:
    """A certificate, compared by its DER bytes."""

    der: bytes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def parsed(self) -> Any:
        """The certificate in asn1crypto, which parses its parts lazily. Raises `Rejected`."""
        with parsing("a certificate"):
            certificate = x509.Certificate.load(self.der, strict=True)
            certificate["tbs_certificate"]["subject_public_key_info"].dump()
        return certificate

    @property
    def public_key(self) -> bytes:
        """The DER SubjectPublicKeyInfo, as in the certificate."""
        key: bytes = self.parsed["tbs_certificate"]["subject_public_key_info"].dump()
        return key

    def facts(self) -> Certificate:
        """Return the facts to show to people. Raises `Rejected`."""
        body = self.parsed["tbs_certificate"]
        with parsing("a certificate"):
            return Certificate(
                sha256=self.sha256,
                subject=_name(body["subject"]),
                issuer=_name(body["issuer"]),
                not_before=_time(body["validity"]["not_before"]),
                not_after=_time(body["validity"]["not_after"]),
                key=key_text(load_key(self.public_key)),
            )

    def may_sign_entries(self) -> bool:
        """Return whether scheme v1 accepts it: by its key usage, and without unknown critical extensions."""
        with parsing("a certificate"):
            usage = self.parsed.key_usage_value
            if usage is not None and not {"digital_signature", "non_repudiation"} & usage.native:
                return False
            extensions = self.parsed["tbs_certificate"]["extensions"]
            # asn1crypto names every extension that Android or Java know. The others keep their number.
            return not any(
                each["critical"].native and each["extn_id"].native == each["extn_id"].dotted
                for each in extensions
            )


def _name(name: Any) -> str:
    """Format a name as in RFC 4514: the last part first, separated by commas."""
    parts = ["+".join(_attribute(each) for each in part) for part in reversed(list(name.chosen))]
    return clean_text(",".join(parts)) or ""


def _attribute(attribute: Any) -> str:
    kind = attribute["type"].native
    value = str(attribute["value"].native)
    escaped = "".join(f"\\{character}" if character in ',+"\\<>;=' else character for character in value)
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    return f"{_SHORT_NAMES.get(kind, attribute['type'].dotted)}={escaped}"


def _time(value: Any) -> datetime:
    time = value.native
    if not isinstance(time, datetime):  # asn1crypto uses its own type for the year 0.
        raise ValueError("the year can't be represented")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
