"""What is written down is what is there."""

from __future__ import annotations

import ast
import re

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


def codes_raised(folder: str, error: str) -> set[str]:
    """The codes with which modules below a folder raise an error."""
    found = set()
    for path in (ROOT / "ota" / folder).rglob("*.py"):
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


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    documented = dict(re.findall(r"^\| `(OTA_\w+)` \| (.+?) \|", README, re.MULTILINE))
    settings = variable_names()
    assert set(documented) == set(settings)
    for name, default in settings.items():
        if default != "":
            shown = str(default).lower() if isinstance(default, bool) else default
            assert documented[name] == f"`{shown}`", name


def test_every_reason_is_documented_and_has_its_message() -> None:
    section = REFERENCE.split("## Reasons")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {reason.value for reason in Reason}
    assert set(MESSAGES) == set(Reason)


def test_every_api_route_is_documented(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/api/", "/downloads/", "/openapi", "/docs")):
            path = re.sub(r"<\w+:", "<", rule.rule)
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                assert f"`{method} {path}`" in REFERENCE, (method, path)


def test_every_page_is_documented(app: Flask) -> None:
    section = REFERENCE.split("## Pages")[1].split("\n## ")[0]
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static" and not rule.rule.startswith(
            ("/api/", "/downloads/", "/openapi", "/docs")
        ):
            path = re.sub(r"<any\(([^)]*)\):\w+>", r"\1", re.sub(r"<(?!any)\w+:", "<", rule.rule))
            last = path.rpartition("/")[2].split(", ")[0]
            assert path in section or (last in section and path.rpartition("/")[0] in section), path


def test_every_task_is_documented(app: Flask) -> None:
    tasks = {name for name in app.extensions["celery"].tasks if name.startswith("ota.")}
    assert set(re.findall(r"`(ota\.\w+)`", REFERENCE)) == tasks


def test_every_command_is_documented() -> None:
    app = Flask("commands")
    init_commands(app)
    section = REFERENCE.split("## Commands")[1].split("\n## ")[0]
    assert {name for name in app.cli.commands if f"`{name}" in section} == set(app.cli.commands)
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert all(f"`{target}`" in section for target in targets[1].split())


def test_every_reason_for_a_rejection_is_documented() -> None:
    section = REFERENCE.split("## Why an upload is rejected")[1]
    missing = {
        code
        for folder in ("packages", "services", ".")
        for code in codes_raised(folder, "Rejected")
        if f"`{code}`" not in section
    }
    assert missing == set()


def test_every_kind_of_act_has_words_for_the_history() -> None:
    acts = set()
    for path in (ROOT / "ota" / "services").rglob("*.py"):
        acts |= set(re.findall(r'audit\.record\(\s*session, actor, "([\w.]+)"', path.read_text()))
    about_apps = {
        act
        for act in acts
        if act.split(".")[0] in {"app", "channel", "group", "release", "share", "upload", "version"}
    }
    assert about_apps <= set(ACTIONS)


def test_every_dependency_has_a_reason() -> None:
    names = re.findall(r"^([A-Za-z][\w-]*)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    section = README.split("Each dependency and its reason:")[1]
    assert [name for name in names if name not in section] == []


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


@pytest.mark.parametrize(
    "name", ["README.md", "docs/alerts.md", "docs/reference.md", "docs/decisions/README.md"]
)
def test_links_and_pictures_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_pages_of_the_docs_carry_nothing_of_their_makers_machine() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        assert not re.search(r"\b[A-Z]+_TEST_TIME\b|TODO|FIXME", path.read_text()), path
        assert not re.search(
            r"/(home|root|work)/|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
            path.read_text().replace("127.0.0.1", ""),
        ), path
