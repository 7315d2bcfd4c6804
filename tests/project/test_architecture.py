"""The arrows point inwards: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ota.config import ROOT

MODULES = sorted((ROOT / "ota").rglob("*.py"))

# For each layer, what its modules may import of `ota`. A prefix stands for everything below it.
ALLOWED = {
    "ota.core": {"ota.core"},
    "ota.errors": set(),
    "ota.clock": set(),
    "ota.logs": set(),
    "ota.config": set(),
    "ota.models": {"ota.core", "ota.models"},
    "ota.storage": {"ota.errors", "ota.storage"},
    "ota.packages": {"ota.core", "ota.errors", "ota.packages"},
    "ota.db": {"ota.config", "ota.models"},
    "ota.services": {"ota.core", "ota.errors", "ota.models", "ota.packages", "ota.storage", "ota.db", "ota.services"},
    "ota.processing": {"ota.clock", "ota.config", "ota.db", "ota.errors", "ota.packages", "ota.services", "ota.storage"},
    "ota.senders": {"ota.core", "ota.senders"},
    "ota.sending": {"ota.clock", "ota.config", "ota.db", "ota.senders", "ota.services"},
    "ota.message_files": set(),
    "ota.queue": {"ota.config", "ota.db", "ota.message_files"},
    "ota.delivering": {"ota.config", "ota.sending"},
    "ota.tasks": {"ota.clock", "ota.db", "ota.processing", "ota.queue", "ota.services", "ota.watching"},
    "ota.watching": {"ota.clock", "ota.db", "ota.errors", "ota.services"},
    "ota.supervisor": {"ota.config"},
    "ota.draining": {"ota.clock", "ota.config", "ota.db", "ota.journal", "ota.services"},
    "ota.affinity": set(),
    "ota.journal": {"ota.journal"},
    "ota.bootstrap": {"ota.clock", "ota.config", "ota.core", "ota.db", "ota.services"},
    "ota.cli": {"ota.bootstrap", "ota.clock", "ota.config", "ota.core", "ota.db", "ota.errors", "ota.services"},
    "ota.web": {"ota"},
}
FRAMEWORKS = {"flask", "celery", "kombu", "werkzeug", "flask_login", "flask_wtf", "flask_sqlalchemy", "flask_migrate"}
WITHOUT_FRAMEWORKS = (
    "ota.core",
    "ota.errors",
    "ota.models",
    "ota.storage",
    "ota.packages",
    "ota.services",
    "ota.config",
    "ota.journal",
    "ota.senders",
    "ota.sending",
    "ota.watching",
)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    return max((layer for layer in ALLOWED if module == layer or module.startswith(f"{layer}.")), key=len, default="")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    module = name_of(path)
    if module == "ota":
        return
    layer = layer_of(module)
    assert layer, f"{module} belongs to no layer: add it to ALLOWED"
    ours = {name for name in imports_of(path) if name.split(".")[0] == "ota"}
    forbidden = {name for name in ours if not any(name == ok or name.startswith(f"{ok}.") for ok in ALLOWED[layer])}
    assert forbidden == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_inner_layers_know_no_framework(path: Path) -> None:
    if name_of(path).startswith(WITHOUT_FRAMEWORKS):
        assert {name.split(".")[0] for name in imports_of(path)} & FRAMEWORKS == set()


def test_the_core_needs_nothing_but_the_standard_library() -> None:
    import sys

    outside = {
        name.split(".")[0]
        for path in (ROOT / "ota" / "core").glob("*.py")
        for name in imports_of(path)
        if name.split(".")[0] not in sys.stdlib_module_names
    }
    assert outside == {"ota"}


def test_the_core_reads_no_clock_and_throws_no_dice() -> None:
    for path in (ROOT / "ota" / "core").glob("*.py"):
        modules = {name.split(".")[0] for name in imports_of(path)}
        assert modules & {"time", "random", "secrets", "os", "io", "pathlib", "socket"} == set(), path
        assert ".now(" not in path.read_text()


def test_services_never_commit() -> None:
    for path in (ROOT / "ota" / "services").glob("*.py"):
        assert ".commit(" not in path.read_text(), path


def test_only_the_clock_module_reads_the_clock() -> None:
    readers = [path for path in MODULES if "utcnow(" in path.read_text() and ".now(" in path.read_text()]
    assert [name_of(path) for path in readers] == ["ota.clock"]


def test_modules_and_functions_stay_small() -> None:
    for path in [*MODULES, ROOT / "app.py", ROOT / "celery_worker.py"]:
        text = path.read_text()
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, (path, node.name)


def test_the_composition_root_stays_small() -> None:
    assert (ROOT / "app.py").read_text().count("\n") <= 80
    assert (ROOT / "celery_worker.py").read_text().count("\n") <= 10
