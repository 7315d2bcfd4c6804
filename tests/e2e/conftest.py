"""Fixtures: a running program, a browser, and a page that is watched for errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import missing
from tests.e2e.browser import FLAGS, Watched, log_in
from tests.e2e.program import Program


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running program for tests that leave it as they found it."""
    started = Program(tmp_path_factory.mktemp("shared"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
    """A running program. ``@pytest.mark.parametrize(..., indirect=True)`` gives it settings."""
    started = Program(tmp_path, **getattr(request, "param", {}))
    started.start()
    yield started
    if started.process is not None and started.process.poll() is None:
        started.stop()
    print(started.log())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def watched(chromium: Browser, program: Program) -> Iterator[Watched]:
    """A page of a logged-in administrator. The test fails if the page reports an error."""
    context = chromium.new_context(base_url=program.url, viewport={"width": 1280, "height": 900})
    found = Watched(context, program)
    log_in(found.page)
    yield found
    context.close()
    assert found.problems == []
