"""The rooms and the one order in which they may know each other."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from ota.config import ROOT

ORDER = [
    # Pure rules, and what everything stands on.
    "core",
    "clock",
    "errors",
    "logs",
    "config",
    "parts",
    # The world: tables, files, package formats, processes.
    "models",
    "journal",
    "packages",
    "storage",
    "db",
    "machine",
    # Verbs, one room for each noun.
    "history",
    "people",
    "catalogs",
    "apps",
    "devices",
    "telemetry",
    "builds",
    "health",
    "fleet",
    "releases",
    "experiments",
    "approvals",
    "updates",
    "installing",
    "alerts",
    # Doors: the kit that all of them use, then one room for each noun.
    "web",
    "web.system",
    "web.history",
    "web.people",
    "web.apps",
    "web.telemetry",
    "web.builds",
    "web.installing",
    "web.alerts",
    "web.health",
    "web.releases",
    "web.experiments",
    "web.fleet",
    "web.devices",
    "web.approvals",
    "web.updates",
    # Composition.
    "bootstrap",
    "cli",
    "tasks",
    "web.__init__",
    "programs",
    "draining",
    "delivering",
]
"""A module imports from its own room and from rooms above it, never from one below, also inside functions."""

SHARED_BY_DOORS = ("shapes", "views")
"""What a door may use of another noun's door: modules with these names, and those whose name ends so."""

FRAMEWORKS = {
    "flask",
    "celery",
    "kombu",
    "werkzeug",
    "flask_login",
    "flask_wtf",
    "flask_sqlalchemy",
    "flask_migrate",
}
MAY_USE_FRAMEWORKS = (
    "ota.web",
    "ota.db",
    "ota.parts",
    "ota.machine.queue",
    "ota.machine.file_transport",
    "ota.cli",
    "ota.bootstrap",
    "ota.tasks",
    "ota.programs",
    "ota.telemetry.drain",
    "ota.builds.worker",
)

CALLED_BY_NAME = {
    # Flask-Login, SQLAlchemy's types, kombu's virtual transport, smtplib, WTForms.
    "get_id",
    "process_bind_param",
    "process_result_value",
    "_queue_bind",
    "_put",
    "_get",
    "_get_socket",
    "bind_field",
    "post_validate",
    "validate_again",
    "validate_approval_above",
    "validate_rollout",
}
"""Functions that a library calls by their name."""

MODULES = {}
for _path in sorted((ROOT / "ota").rglob("*.py")):
    _parts = _path.relative_to(ROOT).with_suffix("").parts
    MODULES[".".join(_parts[:-1] if _parts[-1] == "__init__" else _parts)] = _path


def room_of(module: str) -> str:
    """Return a module's room, as `ORDER` names it. Raises `KeyError` for a module outside of every room."""
    if module == "ota.web":
        return "web.__init__"
    parts = module.split(".")[1:]
    name = ".".join(parts[:2]) if parts[0] == "web" and ".".join(parts[:2]) in ORDER else parts[0]
    if name not in ORDER:
        raise KeyError(f"{module} stands in no room: add its room to ORDER")
    return name


def imports_of(path: Path) -> set[str]:
    """Every module that is imported anywhere in a file, and every name that is imported from one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules_imported_by(path: Path) -> set[str]:
    """The modules of `ota` that a file imports or imports names from."""
    ours = {name for name in imports_of(path) if name.startswith("ota.")}
    return {name if name in MODULES else name.rpartition(".")[0] for name in ours} - {"ota"}


@pytest.mark.parametrize("module", [name for name in MODULES if name != "ota"])
def test_imports_follow_the_order_of_the_rooms(module: str) -> None:
    own = ORDER.index(room_of(module))
    imported = modules_imported_by(MODULES[module])
    assert {name for name in imported if ORDER.index(room_of(name)) > own} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("ota.web.")])
def test_a_door_uses_only_shapes_and_views_of_another_noun(module: str) -> None:
    doors = {name for name in modules_imported_by(MODULES[module]) if room_of(name).startswith("web.")}
    foreign = {name for name in doors if room_of(name) != room_of(module)}
    assert {name for name in foreign if not name.rpartition(".")[2].endswith(SHARED_BY_DOORS)} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith(MAY_USE_FRAMEWORKS)])
def test_only_the_outermost_rooms_know_a_framework(module: str) -> None:
    assert {name.split(".")[0] for name in imports_of(MODULES[module])} & FRAMEWORKS == set()


def test_the_core_needs_nothing_but_the_standard_library() -> None:
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


def test_verbs_never_commit() -> None:
    assert [module for module, path in MODULES.items() if ".commit(" in path.read_text()] == ["ota.db"]


def test_only_the_clock_module_reads_the_clock() -> None:
    readers = [
        module
        for module, path in MODULES.items()
        if "utcnow(" in path.read_text() and ".now(" in path.read_text()
    ]
    assert readers == ["ota.clock"]


def test_a_public_class_name_stands_in_one_module() -> None:
    found: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def test_every_function_has_a_caller_in_production() -> None:
    """A name is used where production code or a template reads it. Tests and benchmarks do not count."""
    scripts = [ROOT / "app.py", ROOT / "celery_worker.py", *(ROOT / "scripts").glob("*.py")]
    templates = "\n".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    used = set(re.findall(r"\w+", templates)) | CALLED_BY_NAME
    for path in [*MODULES.values(), *scripts]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
            elif isinstance(node, ast.Attribute):
                used.add(node.attr)
            elif isinstance(node, ast.keyword) and node.arg:
                used.add(node.arg)
    unused = [
        f"{module}.{name}"
        for module, path in MODULES.items()
        for name in functions_of(path)
        if name not in used
    ]
    assert unused == []


def functions_of(path: Path) -> list[str]:
    """Return the functions of a file that have neither a decorator nor a special name."""
    nodes = ast.walk(ast.parse(path.read_text()))
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and not node.decorator_list]
    return [node.name for node in found if not node.name.startswith("__")]


def test_modules_and_functions_stay_small() -> None:
    for path in [*MODULES.values(), ROOT / "app.py", ROOT / "celery_worker.py"]:
        text = path.read_text()
        is_data = path.stem.endswith("shapes")
        assert text.count("\n") <= 300 or is_data, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, (
                    path,
                    node.name,
                )


def test_the_composition_root_stays_small() -> None:
    assert (ROOT / "app.py").read_text().count("\n") <= 80
    assert (ROOT / "celery_worker.py").read_text().count("\n") <= 10
