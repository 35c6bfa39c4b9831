"""The pages of a deployed sandbox in Chromium.

`open_page` opens any of them, `as_person` the local Slack, `picture` takes README's screenshots.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from sandbox.deployment import Sandbox, running
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import APPROVALS, Channel, User
from sandbox.web.pages import PREFIX

# It runs as root in containers, without a screen, and has nothing to ask of its maker.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Milliseconds: a click is answered within 3 s, what it causes may take as long as the machine is busy.
PATIENCE = 30_000
IMAGES = Path(__file__).parents[2] / "docs" / "images"
# Bytes: README is to load quickly.
MAX_IMAGE = 150_000

OpenPage = Callable[..., Page]
AsPerson = Callable[..., Page]
Picture = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    with running(reporter.write_line if reporter else print) as deployed:
        yield deployed


@pytest.fixture(scope="session")
def gates(sandbox: Sandbox) -> Gates:
    return Gates(sandbox)


@pytest.fixture
def slack(sandbox: Sandbox) -> Iterator[SlackSandbox]:
    yield sandbox.slack
    sandbox.slack.clear_faults()
    for view in sandbox.slack.changes().views:
        if view.open:
            sandbox.slack.close(view)


# Automatic, so that a missing browser is told before anything is deployed.
@pytest.fixture(scope="session", autouse=True)
def browser() -> Iterator[Browser]:
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not program:
        pytest.fail("no Chromium found: run `apt-get install chromium`, or set CHROMIUM to the path of one")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        running_browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running_browser
        running_browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address in a window of its own; what its scripts get wrong fails the test.

    Arguments: the address, and options of Playwright's `new_context`, such as `color_scheme="dark"`.
    """
    contexts, problems = [], []

    def note(message: ConsoleMessage) -> None:
        # Chromium tells of every answer that is an error: those are what some tests are about.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            problems.append(message.text)

    def open_it(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-US", "timezone_id": "UTC", **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", note)
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def as_person(open_page: OpenPage, slack: SlackSandbox) -> AsPerson:
    """Opens a conversation of the local Slack as somebody."""

    def open_it(user: User, channel: Channel = APPROVALS, **options: Any) -> Page:
        return open_page(f"{slack.url}{PREFIX}/?as={user.id}&in={channel.id}", **options)

    return open_it


@pytest.fixture
def picture() -> Picture:
    """Takes a screenshot for README; only `make screenshots` writes it: no two look the same to the byte."""

    def take(page: Page, name: str) -> None:
        taken = page.screenshot(animations="disabled", caret="hide")
        if os.environ.get("UPDATE_SCREENSHOTS"):
            assert len(taken) < MAX_IMAGE
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"{name}.png").write_bytes(taken)

    return take
