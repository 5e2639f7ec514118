"""What administrators set up, and what users then find."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.gui.conftest import OpenAs

# A node and a manager have to do something before the page can tell of it.
WORK_MILLISECONDS = 60_000
# Of a busy machine.
expect.set_options(timeout=20_000)


def fill_dialog(page: Page, name: str, text: str) -> None:
    page.get_by_role("dialog").locator(f"input[name='{name}']").fill(text)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def do_with(page: Page, row: str, deed: str) -> None:
    page.get_by_role("button", name=f"What to do with {row}").click()
    page.get_by_role("menuitem", name=deed).click()


def test_a_preset_is_made_found_and_deleted(open_as: OpenAs) -> None:
    keeper, user = open_as("admin"), open_as("user")
    page = keeper.go("/environments?tab=presets")
    press(page, "Create a preset")
    fill_dialog(page, "name", "tiny")
    fill_dialog(page, "slot:mem", "300 MiB")
    press(page, "Create")
    expect(page.get_by_text("tiny has been created.")).to_be_visible()
    seen = user.go("/environments?tab=presets").get_by_role("row").filter(has_text="tiny")
    expect(seen).to_contain_text("1 core · 300 MiB")
    expect(user.page.get_by_role("tab", name="Registries")).to_be_hidden()
    expect(user.go("/launch").get_by_text(re.compile("^tiny"))).to_be_visible()
    do_with(page, "tiny", "Delete")
    press(page, "Delete")
    expect(page.get_by_role("row").filter(has_text="tiny")).to_be_hidden()
    assert not keeper.errors + keeper.refused + user.errors + user.refused


def test_images_are_rescanned_limited_and_named(open_as: OpenAs) -> None:
    keeper = open_as("admin")
    page = keeper.go("/environments")
    press(page, "Rescan")
    expect(page.get_by_role("status")).to_contain_text(
        re.compile("Background task: done.*found"), timeout=WORK_MILLISECONDS
    )
    # A reload still shows what the page has begun.
    page.reload()
    expect(page.get_by_role("status")).to_contain_text(
        "Background task: done", timeout=WORK_MILLISECONDS
    )
    press(page, "Close")
    page.get_by_role("button", name=re.compile("python")).first.click()
    drawer = page.get_by_role("dialog").first
    drawer.get_by_role("button", name="Change the limits").click()
    fill_dialog(page, "max:cpu", "64")
    press(page, "Save")
    expect(page.get_by_role("region", name="Resource limits")).to_contain_text("64 cores")
    drawer.get_by_role("button", name="Add a name").click()
    fill_dialog(page, "name", "snake")
    press(page, "Save")
    expect(drawer.get_by_text("snake", exact=True)).to_be_visible()
    drawer.get_by_role("button", name="Remove the name snake").click()
    press(page, "Delete")
    expect(drawer.get_by_text("It has no other names.")).to_be_visible()
    assert not keeper.errors + keeper.refused


def test_a_registry_that_cannot_be_reached_is_told(open_as: OpenAs) -> None:
    keeper = open_as("admin")
    page = keeper.go("/environments?tab=registries")
    expect(page.get_by_text("No registries yet")).to_be_visible(timeout=WORK_MILLISECONDS)
    page.get_by_role("button", name="Add a registry").first.click()
    fill_dialog(page, "hostname", "nowhere.example:1")
    fill_dialog(page, "url", "http://127.0.0.1:1")
    press(page, "Add and rescan")
    expect(page.get_by_role("status")).to_contain_text(
        "Background task: failed", timeout=WORK_MILLISECONDS
    )
    do_with(page, "nowhere.example:1", "Delete")
    press(page, "Delete")
    expect(page.get_by_text("No registries yet")).to_be_visible()
    assert not keeper.errors + keeper.refused


def test_a_setting_is_changed_and_put_back(open_as: OpenAs) -> None:
    keeper = open_as("admin")
    page = keeper.go("/settings")
    window = page.get_by_role("group", name="Window of utilization")
    expect(window).to_contain_text("Default: 12h")
    window.get_by_role("button", name="Modify").click()
    fill_dialog(page, "value", "soon")
    press(page, "Save")
    expect(page.get_by_role("dialog")).to_contain_text("Write a time such as 90s")
    fill_dialog(page, "value", "3h")
    press(page, "Save")
    expect(window).to_contain_text("3h")
    window.get_by_role("button", name="Use the default").click()
    expect(window.get_by_text("changed")).to_be_hidden()
    assert not keeper.errors + keeper.refused


def test_a_form_is_kept_as_a_template_and_used(open_as: OpenAs) -> None:
    user = open_as("user")
    page = user.go("/launch")
    page.get_by_text("Batch", exact=True).click()
    page.get_by_label("Command").fill("echo kept")
    press(page, "Save as a template")
    fill_dialog(page, "name", "nightly")
    press(page, "Save")
    expect(page.get_by_text("nightly has been created.")).to_be_visible()
    user.go("/launch")
    press(page, "Templates")
    press(page, "Use nightly")
    expect(page.get_by_label("Command")).to_have_value("echo kept")
    press(page, "Templates")
    press(page, "Delete nightly?")
    press(page, "Delete")
    expect(page.get_by_text("No templates yet")).to_be_visible()
    assert not user.errors + user.refused


def test_the_list_of_sessions_follows_what_happens(open_as: OpenAs) -> None:
    watcher, other = open_as("user"), open_as("user")
    page = watcher.go("/sessions")
    page.wait_for_load_state("networkidle")
    watcher.forget()
    launcher = other.go("/launch")
    launcher.get_by_label("Name").fill("seen-elsewhere")
    press(launcher, "Launch")
    row = page.get_by_role("row").filter(has_text="seen-elsewhere")
    expect(row).to_contain_text("RUNNING", timeout=WORK_MILLISECONDS)
    assert len(watcher.calls) <= 8, watcher.calls
    row.get_by_role("button", name="Terminate").click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(row).to_be_hidden(timeout=WORK_MILLISECONDS)
    assert not watcher.errors + watcher.refused + other.errors + other.refused


def test_the_audit_log_is_looked_through_by_parts(open_as: OpenAs) -> None:
    keeper = open_as("admin")
    page = keeper.go("/environments?tab=presets")
    press(page, "Create a preset")
    fill_dialog(page, "name", "noted")
    press(page, "Create")
    expect(page.get_by_text("noted has been created.")).to_be_visible()
    do_with(page, "noted", "Delete")
    press(page, "Delete")
    expect(page.get_by_text("noted has been deleted.")).to_be_visible()
    page = keeper.go("/audit?action=preset&target_id=note")
    rows = page.get_by_role("row").filter(has_text="noted")
    expect(rows).to_have_count(2)
    page.get_by_label("From").fill("2100-01-01")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    assert not keeper.errors + keeper.refused
