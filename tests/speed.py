"""Set-up that is the same for every test, done once a process instead of once a test.

Nothing here changes what is tested: URL rules and templates are compiled to the same code, and passwords are hashed by the
same algorithm with the least work it allows. The tests of hashing use the real hasher.
"""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule

from ota.people import accounts, passwords

REAL_HASHER = passwords._hasher


def compile_each_url_rule_once() -> None:
    """Keep the functions that Werkzeug compiles for each URL rule: every application of a test has the same rules."""
    compile_builder, kept = Rule._compile_builder, {}

    def compile_once(self: Rule, append_unknown: bool = True) -> Any:
        key = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if key not in kept:
            kept[key] = compile_builder(self, append_unknown)
        return kept[key]

    Rule._compile_builder = compile_once  # type: ignore[method-assign]


def hash_passwords_cheaply() -> None:
    """Spend the least that argon2id allows on passwords: one pass over 8 KiB."""
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts._DUMMY_HASH = passwords.hashed("no such account", at_least=accounts.MIN_PASSWORD)


class _Memory(BytecodeCache):
    """Compiled templates, by their name and source."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_TEMPLATES = _Memory()


def share_compiled_templates(app: Flask) -> None:
    """Let this application use the templates that others before it have compiled."""
    app.jinja_env.bytecode_cache = _TEMPLATES
