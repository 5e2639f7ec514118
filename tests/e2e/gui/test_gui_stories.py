"""What people do in the GUI, against the whole running system."""

import hashlib
import os
import re
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.browser import open_visit
from tests.running.rest import Api
from tests.running.stack import Stack
from tests.running.waiting import until

PATIENCE_MILLISECONDS = 60_000


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=PATIENCE_MILLISECONDS)


@pytest.fixture
def folder(api: Api) -> Iterator[tuple[str, str]]:
    """(id, name)"""
    name = f"gui-{uuid.uuid4().hex[:8]}"
    made = api.ask("POST", "/folders", {"name": name})
    assert made.status == 201, made.body
    yield made.json()["id"], name
    api.ask("DELETE", f"/folders/{name}")
    api.ask("POST", "/folders/purge", {"id": made.json()["id"]})


def test_a_wrong_password_is_told_at_the_form_and_the_right_one_opens_the_start_page(
    stack: Stack, browser: Browser, origin: str, tmp_path: Path
) -> None:
    known = stack.credentials()
    with open_visit(browser, origin, tmp_path) as visit:
        visit.go("/sessions")
        visit.log_in(known["BAI_LOGIN"], "wrong")
        expect(visit.page.get_by_text("Email or password is wrong.")).to_be_visible()
        visit.log_in(known["BAI_LOGIN"], known["BAI_PASSWORD"])
        # Who came for a page gets it.
        expect(visit.page.get_by_role("heading", level=1, name="Sessions")).to_be_visible()
        visit.page.get_by_label("My menu").click()
        visit.page.get_by_role("menuitem", name="Log out").click()
        expect(visit.page.get_by_role("button", name="Log in")).to_be_visible()
        visit.page.reload()
        expect(visit.page.get_by_role("button", name="Log in")).to_be_visible()


def launch(page: Page, origin: str, name: str) -> None:
    page.goto(f"{origin}/launch?image=bai/python:3.11")
    page.get_by_label("Name", exact=False).first.fill(name)
    expect(page.get_by_text("Can start now")).to_be_visible()
    page.get_by_role("button", name="Launch", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=name)).to_be_visible()
    expect(dialog.get_by_text("RUNNING", exact=True).first).to_be_visible()


def screen_of(page: Page) -> str:
    """The text that a terminal shows."""
    return str(page.locator(".xterm-rows").inner_text())


def test_a_session_is_launched_its_shell_outlives_the_network_and_it_is_ended(
    open_as: OpenAs, origin: str
) -> None:
    visit = open_as()
    page, name = visit.page, f"gui-{uuid.uuid4().hex[:6]}"
    launch(page, origin, name)
    page.get_by_role("tab", name="Status history").click()
    expect(page.get_by_role("tabpanel").get_by_text("SCHEDULED")).to_be_visible()
    page.get_by_role("tab", name="Apps").click()
    with visit.context.expect_page() as opened:
        page.get_by_role("dialog").get_by_role("button", name="Terminal").click()
    terminal = opened.value
    expect(terminal.get_by_text("Connected")).to_be_visible()
    terminal.locator(".xterm-helper-textarea").focus()
    terminal.keyboard.type("x=40; echo answer $((x+2))\n")
    until(lambda: "answer 42" in screen_of(terminal), "the shell answers")

    visit.context.set_offline(True)
    terminal.evaluate("() => undefined")
    visit.context.set_offline(False)
    terminal.reload()
    expect(terminal.get_by_text("Connected")).to_be_visible()
    until(lambda: "answer 42" in screen_of(terminal), "the scroll-back comes again")
    terminal.locator(".xterm-helper-textarea").focus()
    terminal.keyboard.type("echo still $((x+3))\n")
    until(lambda: "still 43" in screen_of(terminal), "it is the same shell")
    terminal.close()

    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    page.locator(".mantine-Modal-content").get_by_role("button", name="Terminate").click()
    expect(page.get_by_text(re.compile("TERMINAT(ING|ED)")).first).to_be_visible()


def test_an_upload_survives_the_death_of_the_storage_proxy(
    stack: Stack, open_as: OpenAs, folder: tuple[str, str], tmp_path: Path
) -> None:
    visit = open_as()
    page, (folder_id, _) = visit.page, folder
    file = tmp_path / "large.bin"
    file.write_bytes(os.urandom(1 << 20) * 200)
    visit.go(f"/folders/{folder_id}")
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_visible()
    page.get_by_test_id("files").set_input_files(file)
    expect(page.locator("[data-upload]")).to_be_visible()
    os.kill(stack.daemon("storage")["pid"], signal.SIGKILL)
    expect(page.locator("[data-upload=done]")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="large.bin")).to_contain_text("200 MiB")
    page.get_by_label("Actions large.bin").click()
    with page.expect_download() as fetched:
        page.get_by_role("menuitem", name="Download").click()
    assert digest_of(Path(fetched.value.path())) == digest_of(file)


def digest_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def test_a_folder_is_shared_with_somebody_who_accepts(
    stack: Stack, open_as: OpenAs, folder: tuple[str, str]
) -> None:
    owner, guest = open_as("user"), open_as("admin")
    _, name = folder
    owner.go("/folders")
    row = owner.page.get_by_role("row").filter(has_text=name)
    row.get_by_label("Actions").click()
    owner.page.get_by_role("menuitem", name="Share").click()
    dialog = owner.page.get_by_role("dialog")
    dialog.get_by_label("Emails").fill(stack.credentials("admin")["BAI_LOGIN"])
    owner.page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Invite").click()
    expect(owner.page.get_by_text("Invited.")).to_be_visible()
    guest.go("/folders?tab=invitations")
    guest.page.get_by_role("button", name="Accept").click()
    guest.go("/folders")
    expect(guest.page.get_by_role("link", name=name)).to_be_visible()
