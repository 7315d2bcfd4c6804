"""What is written down is what is there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from ota.cli import init_app as init_commands
from ota.config import ROOT, variable_names
from ota.core.decision import Reason
from ota.web.openapi import describe
from ota.web.views import MESSAGES
from ota.web.words import ACTIONS

README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODULES = sorted((ROOT / "ota").rglob("*.py"))

SECONDS = {"hourly": 3600.0, "daily": 86_400.0}
ANSWERS = {
    "update_available": "CheckAnswer",
    "min_supported_version": "LatestAnswer",
    "latest_version": "ChangelogAnswer",
    "taken": "EventsAnswer",
    "proposal": "ReleaseAnswer",
    "components": "HealthAnswer",
    "code": "ErrorAnswer",
    "message": "CompleteAnswer",
}
"""Shape of an example answer in docs/protocol.md, by the first of these fields that it has."""


def section(page: str, title: str) -> str:
    """The text below a heading of the second level."""
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def codes_raised(error: str) -> set[str]:
    """Codes with which modules raise an error."""
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == error
                and node.args
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
    return found


def anchors_of(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def phony_targets() -> list[str]:
    found = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert found
    return found[1].split()


def test_every_setting_is_documented_with_its_default() -> None:
    documented = dict(re.findall(r"^\| `(OTA_\w+)` \| (.+?) \|", SETTINGS, re.MULTILINE))
    settings = variable_names()
    assert set(documented) == set(settings)
    for name, default in settings.items():
        if default != "":
            shown = str(default).lower() if isinstance(default, bool) else default
            assert documented[name] == f"`{shown}`", name


def test_every_reason_is_documented_and_has_its_message() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section(REFERENCE, "Reasons"), re.MULTILINE)
    assert set(rows) == {reason.value for reason in Reason}
    assert set(MESSAGES) == set(Reason)


def test_every_api_route_is_documented(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/api/", "/downloads/", "/openapi", "/docs")):
            path = re.sub(r"<\w+:", "<", rule.rule)
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                assert f"`{method} {path}`" in REFERENCE, (method, path)


def test_every_page_is_documented(app: Flask) -> None:
    pages = section(REFERENCE, "Pages")
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static" and not rule.rule.startswith(
            ("/api/", "/downloads/", "/openapi", "/docs")
        ):
            path = re.sub(r"<any\(([^)]*)\):\w+>", r"\1", re.sub(r"<(?!any)\w+:", "<", rule.rule))
            last = path.rpartition("/")[2].split(", ")[0]
            assert path in pages or (last in pages and path.rpartition("/")[0] in pages), path


def test_every_task_is_documented_with_its_interval(app: Flask) -> None:
    celery = app.extensions["celery"]
    documented = dict(re.findall(r"^\| `(ota\.\w+)` \| (.+?) \|", section(REFERENCE, "Tasks"), re.MULTILINE))
    assert set(documented) == {name for name in celery.tasks if name.startswith("ota.")}
    scheduled = {entry["task"]: entry["schedule"] for entry in celery.conf.beat_schedule.values()}
    for task, when in documented.items():
        every = re.fullmatch(r"every (\d+) s", when)
        assert scheduled.get(task) == (float(every[1]) if every else SECONDS.get(when)), task


def test_every_command_is_documented() -> None:
    app = Flask("commands")
    init_commands(app)
    commands = section(REFERENCE, "Commands")
    assert {name for name in app.cli.commands if f"`{name}" in commands} == set(app.cli.commands)
    assert [target for target in phony_targets() if f"`{target}`" not in commands] == []


def test_every_reason_for_a_rejection_is_documented() -> None:
    documented = section(REFERENCE, "Rejection reasons")
    assert {code for code in codes_raised("Rejected") if f"`{code}`" not in documented} == set()


def test_every_kind_of_event_is_documented(app: Flask) -> None:
    with app.app_context():
        kinds = describe(app)["components"]["schemas"]["EventItem"]["properties"]["event"]["enum"]
    assert [kind for kind in kinds if f"`{kind}`" not in section(REFERENCE, "Device routes")] == []


def test_every_kind_of_act_has_words_for_the_history() -> None:
    acts = set()
    for path in MODULES:
        acts |= set(re.findall(r'audit\.record\(\s*session, actor, "([\w.]+)"', path.read_text()))
    about_apps = {
        act
        for act in acts
        if act.split(".")[0] in {"app", "channel", "group", "release", "share", "upload", "version"}
    }
    assert about_apps
    assert about_apps <= set(ACTIONS)


def test_every_dependency_has_a_reason() -> None:
    names = re.findall(r"^([A-Za-z][\w-]*)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    rows = re.findall(r"^\| (.+?) \|", section(ARCHITECTURE, "Dependencies"), re.MULTILINE)
    explained = {name for row in rows for name in row.split(", ")}
    assert [name for name in names if name not in explained] == []


def test_the_readme_is_short_and_names_the_two_commands() -> None:
    assert README.count("\n") <= 150
    assert re.search(r"^make run\b", README, re.MULTILINE)
    assert re.search(r"^make test\b", README, re.MULTILINE)


def test_make_help_names_every_target() -> None:
    printed = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    named = dict(re.findall(r"^ +make ([\w-]+) +(\S.*)$", printed, re.MULTILINE))
    targets = re.findall(r"^([a-z][\w-]*):(?!=)", MAKEFILE, re.MULTILINE)
    assert set(named) == set(targets) == set(phony_targets())


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_paths_that_are_named_exist(page: str) -> None:
    below = ("ota", "tests", "docs", "migrations", "static", "templates", "benchmarks", "scripts")
    paths = {
        path
        for path in re.findall(r"`([\w./-]+/[\w./-]*)`", (ROOT / page).read_text())
        if path.split("/")[0] in below
    }
    assert len(paths) > 20
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/install.md", "docs/reference.md"]
)
def test_modules_that_are_run_exist(page: str) -> None:
    named = set(re.findall(r"python -m ((?:ota|benchmarks|scripts)\.[\w.]+)", (ROOT / page).read_text()))
    assert sorted(name for name in named if not (ROOT / (name.replace(".", "/") + ".py")).exists()) == []


def test_the_protocol_page_names_every_request_and_every_field(app: Flask) -> None:
    with app.app_context():
        document = describe(app)
    schemas: dict[str, Any] = document["components"]["schemas"]
    named = set(re.findall(r"[`\"](\w+)[`\"]", PROTOCOL))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["tags"] != ["App Updates"]:
                continue
            address = re.sub(r"{(\w+)}", r"<\1>", path)
            assert f"`{method.upper()} {address}" in PROTOCOL
            shapes = {
                *re.findall(r"#/components/schemas/(\w+)", json.dumps(operation)),
                "EventItem",
                "RefusedEvent",
            }
            fields = {field for shape in shapes for field in schemas[shape]["properties"]}
            assert fields - named == set(), path
            assert {
                each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
            } - named == set(), path


def test_examples_of_answers_have_exactly_the_fields_of_their_shapes(app: Flask) -> None:
    with app.app_context():
        schemas = describe(app)["components"]["schemas"]
    examples = [
        json.loads(text) for text in re.findall(r"^```json\n(.+?)^```", PROTOCOL, re.MULTILINE | re.DOTALL)
    ]
    answers = [example for example in examples if "ok" in example or "update_available" in example]
    shapes = [next(shape for field, shape in ANSWERS.items() if field in answer) for answer in answers]
    assert set(shapes) == set(ANSWERS.values())
    for answer, shape in zip(answers, shapes, strict=True):
        optional = {"details", "current"} if shape == "ErrorAnswer" else set()
        assert set(answer) | optional == set(schemas[shape]["properties"]) | optional, shape
    published = answers[shapes.index("ReleaseAnswer")]
    assert set(published["release"]) == set(schemas["ReleaseView"]["properties"])
    assert set(published["version"]) == set(schemas["VersionView"]["properties"])


def test_the_openapi_document_is_valid_and_grouped_as_promised(app: Flask) -> None:
    with app.app_context():
        document = describe(app)
    validate(document)
    tagged = {path: next(iter(methods.values()))["tags"] for path, methods in document["paths"].items()}
    assert tagged["/api/updates/check"] == tagged["/api/updates/publish"] == ["App Updates"]
    answer = document["components"]["schemas"]["CheckAnswer"]["properties"]
    assert {"update_available", "latest_version", "version_code", "download_url", "reason"} <= set(answer)
    assert document["paths"]["/api/versions"]["get"]["security"] == [{"token": []}]
    assert document["paths"]["/api/updates/check"]["post"]["security"] == []
    upload = document["paths"]["/api/uploads"]["post"]["requestBody"]["content"]["multipart/form-data"][
        "schema"
    ]
    assert upload["properties"]["file"]["format"] == "binary"


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)]:
        if target.startswith(("http:", "https:")):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors_of(path), target


def test_the_pages_of_the_docs_carry_nothing_of_their_makers_machine() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        assert not re.search(r"\b[A-Z]+_TEST_TIME\b|TODO|FIXME", path.read_text()), path
        assert not re.search(
            r"/(home|root|work)/|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
            path.read_text().replace("127.0.0.1", ""),
        ), path
