"""The GUI without a mouse."""

import uuid
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.axe import find_barriers
from tests.running.shots import keep_shot

TABS_MAX = 60
NAME_OF_FOCUS = """() => {
  const at = document.activeElement
  return at.labels?.[0]?.innerText || at.getAttribute('aria-label') || at.innerText
}"""


def test_the_palette_finds_a_page_and_goes_there(open_as: OpenAs, axe: Path) -> None:
    visit = open_as("admin")
    page = visit.page
    open_palette(page)
    page.keyboard.type("resource pol")
    expect(page.get_by_role("dialog")).to_contain_text("Resource policies")
    keep_shot(page, "admin-palette-desktop-light")
    assert not find_barriers(page, axe)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Resource policies")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    open_palette(page)
    page.keyboard.type("no such page")
    expect(page.get_by_role("dialog")).to_contain_text("Nothing found")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_session_is_launched_and_ended_by_keyboard_alone(open_as: OpenAs) -> None:
    page, name = open_as().page, f"keys-{uuid.uuid4().hex[:6]}"
    open_palette(page)
    page.keyboard.type("launch")
    expect(page.get_by_role("dialog").get_by_role("button")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Launch a session")).to_be_visible()
    tab_to(page, "Name")
    page.keyboard.press("Control+a")
    page.keyboard.type(name)
    tab_to(page, "Image")
    page.keyboard.type("python:3.11")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Plan")).to_contain_text("Can start now")
    tab_to(page, "Launch")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("RUNNING", exact=True).first).to_be_visible()
    tab_to(page, "Terminate")
    page.keyboard.press("Enter")
    question = page.locator(".mantine-Modal-content")
    expect(question).to_be_visible()
    tab_to(page, "Terminate")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 session is being terminated.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


def open_palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what is called `name`."""
    seen: list[str] = []
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        seen.append(str(page.evaluate(NAME_OF_FOCUS)).removesuffix("*").strip())
        if seen[-1] == name:
            return
    raise AssertionError(f"Tab never came to {name!r}: {seen}")
