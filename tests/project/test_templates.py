"""Templates and stylesheets stay readable, and none of them is left over."""

from __future__ import annotations

import re

from ota.config import ROOT

MAX_LINE = 140
FOLDER = ROOT / "templates"
TEMPLATES = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.html")}
STYLESHEETS = {path.name for path in (ROOT / "static" / "css").glob("*.css")}
IMPORT = re.compile(r'{% from "[^"]+" import\s+(.*?)(?: with context)? %}', re.DOTALL)


def test_no_line_of_a_template_is_too_long() -> None:
    assert [
        (name, number)
        for name, text in TEMPLATES.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > MAX_LINE
    ] == []


def test_every_imported_macro_is_used() -> None:
    assert [(name, macro) for name, text in TEMPLATES.items() for macro in _unused_macros(text)] == []


def _unused_macros(text: str) -> list[str]:
    imported = [macro.strip() for names in IMPORT.findall(text) for macro in names.split(",")]
    body = IMPORT.sub("", text)
    return [macro for macro in imported if not re.search(rf"\b{macro}\(", body)]


def test_templates_hold_no_script_and_no_style() -> None:
    """The content security policy forbids both."""
    forbidden = re.compile(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=")
    assert [name for name, text in TEMPLATES.items() if forbidden.search(text)] == []


def test_every_template_is_used() -> None:
    sources = [path.read_text() for path in (ROOT / "ota").rglob("*.py")]
    used = re.findall(r'"([a-z_]+/[a-z_]+\.html)"', "".join([*sources, *TEMPLATES.values()]))
    assert set(used) == set(TEMPLATES)


def test_every_stylesheet_is_linked_by_a_template() -> None:
    linked = re.findall(r"asset\('css/([a-z_]+\.css)'\)", "".join(TEMPLATES.values()))
    assert set(linked) == STYLESHEETS
