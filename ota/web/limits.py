"""Rate limits: login attempts, tries of share links, reports, and the update checks that are counted."""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

from flask import Flask
from limits import RateLimitItem, parse, parse_many
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from ota.config import Settings
from ota.errors import TooMany
from ota.parts import add_part, part

log = logging.getLogger(__name__)

_MOST_ADDRESSES = 50_000


class LoginLimits:
    """Counts tries per address and per account. With Redis all web processes share the count.

    If Redis does not answer, each process counts on its own: logins go on, and they stay limited.
    """

    def __init__(self, settings: Settings) -> None:
        self._items: list[RateLimitItem] = parse_many(settings.login_limit)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._shared = FixedWindowRateLimiter(_redis(settings.redis_url)) if settings.redis_url else None

    def check(self, address: str, account: str, *, kind: str) -> None:
        """Raise `TooMany` if the address or the account has used up its tries. Count nothing."""
        limiter = self._own if self._shared is None else self._shared
        for key in _keys(address, account):
            try:
                is_open = all(limiter.test(item, kind, key) for item in self._items)
            except Exception as error:  # Whatever the error of Redis is, it locks out nobody.
                log.warning("Redis does not count tries, this process does: %s", error)
                is_open = all(self._own.test(item, kind, key) for item in self._items)
            if not is_open:
                raise _too_many()

    def note_try(self, address: str, account: str, *, kind: str = "login") -> None:
        """Count one try of this ``kind``.

        Raises `TooMany` if the address or the account has used up its tries.
        """
        for key in _keys(address, account):
            for item in self._items:
                if not self._hit(item, kind, key):
                    raise _too_many()

    def _hit(self, item: RateLimitItem, kind: str, key: str) -> bool:
        if self._shared is not None:
            try:
                return self._shared.hit(item, kind, key)
            except Exception as error:  # Whatever the error of Redis is, the login goes on.
                log.warning("Redis does not count logins, this process does: %s", error)
        return self._own.hit(item, kind, key)


class ReportLimits:
    """Limits reports per address, so that no caller can forge the events of a fleet.

    Counted per web process.
    """

    def __init__(self, settings: Settings) -> None:
        self._items: list[RateLimitItem] = parse_many(settings.report_limit)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def note(self, address: str, reports: int) -> None:
        """Count a number of reports. Raises `TooMany` if the address has sent too many."""
        if not all(
            self._limiter.hit(item, "report", place_of(address), cost=reports) for item in self._items
        ):
            raise TooMany(
                "too_many", "Too many reports from this address. Keep them and send them again in a minute."
            )


class CheckLimit:
    """Limits the update checks per address that are counted.

    All are answered, since many devices can share one.

    Counted per web process, in windows that begin with the first check after the end of the last window.
    """

    def __init__(self, settings: Settings) -> None:
        item = parse(settings.check_limit)
        self._most, self._window, self._words = item.amount, item.get_expiry(), settings.check_limit
        self._counts: dict[str, int] = {}
        self._ends = 0.0

    def counts(self, address: str) -> bool:
        """Return whether one more check of this address is counted.

        Called for each check, so it must be cheap.
        """
        if ":" in address:
            address = place_of(address)
        now = time.monotonic()
        if now >= self._ends:
            self._counts, self._ends = {}, now + self._window
        number = self._counts[address] = self._counts.get(address, 0) + 1
        if number <= self._most:
            if number == 1 and len(self._counts) > _MOST_ADDRESSES:
                self._counts = {}
            return True
        if number == self._most + 1:
            log.warning(
                "Checks of %s are answered and not counted for now: more than OTA_CHECK_LIMIT (%s). "
                "If that is a proxy of yours, set OTA_TRUSTED_PROXIES.",
                address,
                self._words,
            )
        return False


@lru_cache(maxsize=10_000)
def place_of(address: str) -> str:
    """Return the unit that counts as one address: for IPv6 its /64 network, which one caller owns."""
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or IPv6Network((int(found), 64), strict=False))


def report_limits() -> ReportLimits:
    """Return the report limits of this web process."""
    return part(ReportLimits)


def _keys(address: str, account: str) -> tuple[str, str]:
    return f"address:{place_of(address)}", f"account:{account.strip().lower()[:254]}"


def _too_many() -> TooMany:
    return TooMany("too_many", "Too many tries. Wait a minute, then try again.")


def init_app(app: Flask, settings: Settings) -> None:
    """Create the counters of this application."""
    add_part(app, LoginLimits, LoginLimits(settings))
    add_part(app, ReportLimits, ReportLimits(settings))


def _redis(url: str) -> Storage:
    return storage_from_string(url, socket_connect_timeout=1, socket_timeout=1)  # type: ignore[return-value]
