"""Set-up that is the same for every test, done once per process instead of once per test.

This does not change what is tested: URL rules and templates are compiled to the same code, and passwords are
hashed with the same algorithm, with the least work that it allows. The tests of hashing use the real hasher.
"""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from ota.people import accounts, passwords

REAL_HASHER = passwords._hasher


def compile_each_url_rule_once() -> None:
    """Keep what Werkzeug makes of each URL rule: every application of a test has the same rules."""
    compile_rule, kept = Rule.compile, {}

    def compile_once(self: Rule) -> None:
        key = (
            self.rule,
            repr(self.defaults),
            self.strict_slashes,
            self.merge_slashes,
            self.subdomain,
            self.host,
        )
        if key not in kept:
            compile_rule(self)
            builders = self._build.__func__, self._build_unknown.__func__  # type: ignore[attr-defined]
            kept[key] = self._parts, self._trace, self._converters, frozenset(self.arguments), *builders
            return
        parts, trace, converters, arguments, build, build_unknown = kept[key]
        self._parts, self._trace, self._converters = list(parts), list(trace), dict(converters)
        self.arguments |= arguments
        self._build, self._build_unknown = build.__get__(self, None), build_unknown.__get__(self, None)

    Rule.compile = compile_once  # type: ignore[method-assign]


def compile_each_statement_once() -> None:
    """Let the engines of all tests share their compiled SQL.

    Compiled statements are kept by dialect, and each engine has its own dialect object: two of one kind must
    be equal.
    """
    DefaultDialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
    DefaultDialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]


_STATEMENTS: LRUCache[Any, Any] = LRUCache(5000)


def share_compiled_statements(engine: Engine) -> None:
    """Let this engine use the statements that others before it have compiled."""
    engine._compiled_cache = _STATEMENTS


def hash_passwords_cheaply() -> None:
    """Hash passwords with the least work that argon2id allows: one pass over 8 KiB."""
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts._DUMMY_HASH = passwords.hashed("no such account", at_least=accounts.MIN_PASSWORD)


class _Memory(BytecodeCache):
    """Compiled templates by name and source."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_TEMPLATES = _Memory()


def share_compiled_templates(app: Flask) -> None:
    """Let this application use the templates that earlier ones have compiled."""
    app.jinja_env.bytecode_cache = _TEMPLATES
