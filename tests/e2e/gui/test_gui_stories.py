"""What people do in the GUI, against the whole running system."""

import re
import uuid
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.e2e.gui.conftest import Folder, OpenAs
from tests.running.browser import Line, open_visit
from tests.running.forms import find_dialog
from tests.running.shots import keep_shot
from tests.running.stack import Stack
from tests.running.waiting import until


def test_a_wrong_password_is_told_at_the_form_and_the_right_one_opens_the_start_page(
    stack: Stack, browser: Browser, origin: str, tmp_path: Path
) -> None:
    known = stack.credentials()
    with open_visit(browser, origin, tmp_path) as visit:
        page = visit.go("/sessions")
        visit.log_in(known["BAI_LOGIN"], "wrong")
        expect(page.get_by_text("Email or password is wrong.")).to_be_visible()
        keep_shot(page, "nobody-login-wrong-desktop-light")
        assert not is_let_in(page)
        visit.log_in(known["BAI_LOGIN"], known["BAI_PASSWORD"])
        # Who came for a page gets it.
        expect(page.get_by_role("heading", level=1, name="Sessions")).to_be_visible()
        assert is_let_in(page)
        assert not page.evaluate("document.cookie"), "no script can read the login"
        visit.page.get_by_label("My menu").click()
        visit.page.get_by_role("menuitem", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        assert not is_let_in(page)
        page.go_back()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        visit.go("/sessions")
        expect(page.get_by_role("button", name="Log in")).to_be_visible()


def is_let_in(page: Page) -> bool:
    """Whether the manager answers this browser."""
    status = page.evaluate("fetch('/func/folders').then(({ status }) => status)")
    assert status in (200, 401), status
    return bool(status == 200)


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
    line = Line(visit.context).watch()
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

    line.cut()
    expect(terminal.get_by_text("Connection lost")).to_be_visible()
    keep_shot(terminal, "user-terminal-lost-desktop-light")
    line.mend()
    expect(terminal.get_by_text("Connected")).to_be_visible()
    until(lambda: "answer 42" in screen_of(terminal), "the scroll-back comes again")
    terminal.locator(".xterm-helper-textarea").focus()
    terminal.keyboard.type("echo still $((x+3))\n")
    until(lambda: "still 43" in screen_of(terminal), "it is the same shell")
    terminal.close()

    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    page.locator(".mantine-Modal-content").get_by_role("button", name="Terminate").click()
    ending = page.get_by_text(re.compile("TERMINAT(ING|ED)")).filter(visible=True)
    expect(ending.first).to_be_visible()


def test_a_folder_is_shared_with_somebody_who_accepts(
    stack: Stack, open_as: OpenAs, folder: Folder
) -> None:
    owner, guest = open_as("user"), open_as("admin")
    page = owner.go(f"/folders/{folder.id}")
    expect(page.get_by_text("Nothing in here yet")).to_be_visible()
    told = {"name": "told.txt", "mimeType": "text/plain", "buffer": b"for both of us"}
    page.get_by_test_id("files").set_input_files([told])
    expect(page.get_by_role("row").filter(has_text="told.txt")).to_be_visible()
    owner.go("/folders")
    page.get_by_role("row").filter(has_text=folder.name).get_by_label("Actions").click()
    page.get_by_role("menuitem", name="Share").click()
    dialog = find_dialog(page)
    expect(dialog.get_by_text("Shared with nobody.")).to_be_visible()
    dialog.get_by_label("Emails").fill(stack.credentials("admin")["BAI_LOGIN"])
    page.keyboard.press("Enter")
    keep_shot(page, "user-folders-share-desktop-light")
    dialog.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("Invited.")).to_be_visible()

    page = guest.page
    page.reload()
    page.get_by_label("1 invitation").click()
    expect(page.get_by_text(stack.credentials("user")["BAI_LOGIN"])).to_be_visible()
    keep_shot(page, "admin-invitations-desktop-light")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text(f"{folder.name} is among your folders.")).to_be_visible()
    guest.go("/folders")
    page.get_by_role("link", name=folder.name).click()
    page.get_by_role("button", name="told.txt", exact=True).click()
    expect(find_dialog(page)).to_contain_text("for both of us")
    keep_shot(page, "admin-preview-desktop-light")
    page.keyboard.press("Escape")
    # What was shared is to be read only, unless its owner says more.
    expect(page.get_by_text("You may only read here.")).to_be_visible()
    expect(page.get_by_role("button", name="Upload", exact=True)).to_have_count(0)
    for visit in (owner, guest):
        assert not visit.errors + visit.refused, visit.errors + visit.refused
