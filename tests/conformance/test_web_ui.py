"""What people do in Backend.AI's own web UI 23.9.10, before our daemons."""

import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.conformance.other_ui import serving_pages
from tests.running.browser import Visit, open_browser, open_visit
from tests.running.rest import Api
from tests.running.sessions import list_live
from tests.running.stack import Stack
from tests.running.waiting import until

PATIENCE_MILLISECONDS: Final = 90_000
# What goes wrong in that release before any server, and why.
KNOWN: Final = {
    "400 POST /server/login": "it asks with nothing typed to see whether somebody is logged in",
    "/v2/proxy/AKIA": "it asks the app proxy for what is open by a key that is none",
    "monokai.css": "its wheel lacks the file",
    "Pattern attribute value": "it gives a field an expression that browsers do not read any more",
}


@dataclass
class Faults:
    """Refused and failed requests, and errors in consoles, of all pages of a browser."""

    origin: str
    found: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("weberror", lambda error: self.note(str(error.error)))
        context.on("console", lambda told: self.note(told.text if told.type == "error" else ""))
        context.on(
            "response",
            lambda got: self.note(
                f"{got.status} {got.request.method} {got.url.removeprefix(self.origin)}"
                if got.status >= 400
                else ""
            ),
        )
        context.on("requestfailed", lambda lost: self.note(f"{lost.failure} {lost.url}"))

    def note(self, text: str) -> None:
        # A page that is left takes its requests with it; a refusal is told of by its answer.
        is_told = text.startswith(("net::ERR_ABORTED", "Failed to load resource"))
        if text and not is_told and not any(known in text for known in KNOWN):
            self.found.append(text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def origin(shared_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_pages(shared_stack, tmp_path_factory.mktemp("other-ui")) as address:
        yield address


@pytest.fixture
def visit(stack: Stack, browser: Browser, origin: str, tmp_path: Path) -> Iterator[Visit]:
    """Somebody before the form to log in; nothing may have gone wrong when they leave."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    faults = Faults(origin)
    with open_visit(browser, origin, tmp_path / "shots") as visit:
        visit.context.set_default_timeout(PATIENCE_MILLISECONDS)
        faults.watch(visit.context)
        with visit.page.expect_response("**/server/login"):
            visit.go("/")
        yield visit
        visit.page.screenshot(path=tmp_path / "last.png")
    assert not faults.found, "\n".join(faults.found)


def log_in(page: Page, stack: Stack, password: str = "") -> None:
    known = stack.credentials()
    page.locator("#id_user_id input").fill(known["BAI_LOGIN"])
    page.locator("#id_password input").fill(password or known["BAI_PASSWORD"])
    page.keyboard.press("Enter")


def enter(visit: Visit, stack: Stack, path: str) -> Page:
    """A page of somebody who is logged in."""
    log_in(visit.page, stack)
    expect(visit.page.locator("#id_password")).to_be_hidden()
    return visit.go(path)


def test_a_wrong_password_is_told_and_who_logs_out_is_out(visit: Visit, stack: Stack) -> None:
    page = visit.page
    log_in(page, stack, "wrong")
    expect(page.get_by_text("Login failed. Check login information.")).to_be_visible()
    log_in(page, stack)
    expect(page.locator("#id_password")).to_be_hidden()
    page.get_by_text("User", exact=True).locator("visible=true").last.click()
    with page.expect_response("**/server/logout"):
        page.get_by_text("Log Out").locator("visible=true").click()
    expect(page.locator("#id_password")).to_be_visible()
    with page.expect_response("**/server/login-check") as got:
        visit.go("/summary")
    assert got.value.json()["authenticated"] is False


def launch(page: Page, name: str) -> None:
    page.locator("#launch-session").click()
    page.locator("#session-name input").fill(name)
    page.locator("#launch-button").click()
    page.locator("#launch-button").click()
    page.locator("#launch-confirmation-button").click()
    # It offers the apps of what it has launched.
    close_dialog(page, "#app-dialog")


def close_dialog(page: Page, selector: str) -> None:
    dialog = page.locator(selector).get_by_text("close", exact=True).locator("visible=true").first
    dialog.click()
    expect(dialog).to_be_hidden()


def test_a_session_is_launched_worked_in_and_ended(visit: Visit, stack: Stack, api: Api) -> None:
    page, name = enter(visit, stack, "/job"), f"other-{uuid.uuid4().hex[:6]}"
    launch(page, name)
    expect(page.get_by_text(name).first).to_be_visible()
    (session_id,) = list_live(api)

    with visit.context.expect_page() as opened:
        page.locator('[id="0-terminal"]').click()
    terminal = opened.value
    rows = terminal.locator(".xterm-rows")
    expect(rows).to_contain_text("work@main1")
    terminal.locator(".xterm-helper-textarea").focus()
    terminal.keyboard.type("echo answer $((40+2))\n")
    expect(rows).to_contain_text("answer 42")
    terminal.close()
    close_dialog(page, "#terminal-guide")

    with page.expect_response(re.compile(f"/func/session/{session_id}/logs")) as got:
        page.locator('[id="0-assignment"]').click()
    assert got.value.ok
    expect(page.locator("#work-dialog").get_by_text(name)).to_be_visible()
    close_dialog(page, "#work-dialog")

    page.locator('[id="0-power"]').click()
    page.locator("mwc-button.ok").locator("visible=true").click()
    expect(page.locator('[id="0-power"]')).to_be_hidden()
    until(lambda: not list_live(api), "the session has ended")


@pytest.fixture
def folder(api: Api) -> Iterator[str]:
    """The name for a folder."""
    name = f"other-{uuid.uuid4().hex[:8]}"
    yield name
    made = [row["id"] for row in api.ask("GET", "/folders").json() if row["name"] == name]
    api.ask("DELETE", f"/folders/{name}")
    for folder_id in made:
        api.ask("POST", "/folders/purge", {"id": folder_id})


def test_a_folder_is_made_and_a_file_uploaded(
    visit: Visit, stack: Stack, folder: str, tmp_path: Path
) -> None:
    file = tmp_path / "uploaded.bin"
    file.write_bytes(os.urandom(20 << 20))
    page = enter(visit, stack, "/data")
    page.locator("#add-folder").click()
    page.locator("#add-folder-name input").fill(folder)
    page.locator("#add-folder-dialog mwc-button").locator("visible=true").click()
    page.get_by_text(folder, exact=True).locator("visible=true").first.click()
    explorer = page.locator("#folder-explorer-dialog")
    expect(explorer.get_by_text("Upload Files")).to_be_visible()
    page.locator("#fileInput").set_input_files(file)
    expect(explorer.get_by_text(str(20 << 20))).to_be_visible()
    (kept,) = (stack.home / "data" / "volumes").rglob(file.name)
    assert kept.read_bytes() == file.read_bytes()
