"""Who is inside a partial rollout.

The draw is a hash and not a random number: a device that asks again gets the same answer, raising a rollout
never ejects a device, and each release draws its first devices by its own salt.
"""

from __future__ import annotations

from hashlib import sha256

FULL = 10_000
"""All devices, in basis points."""


def bucket(salt: str, device_id: str) -> int:
    """Return the device's number, 0 to 9999, in the release with this salt.

    It is the first 8 bytes, big-endian, of SHA-256(salt + ":" + device_id), modulo 10000.
    """
    return int.from_bytes(sha256(f"{salt}:{device_id}".encode()).digest()[:8]) % FULL


def buckets_inside(rollout: int, first: int = 0) -> range:
    """Return the buckets of the devices inside a rollout of ``rollout`` basis points.

    ``first`` is the bucket at which the rollout begins: 0 except for the arms of an experiment. A device
    without an id has no bucket, so only a `FULL` rollout, for which no bucket is needed, is open to it.
    """
    return range(first, first + rollout)
