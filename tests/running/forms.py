"""Forms of the GUI, filled in by what they say."""

from collections.abc import Mapping

from playwright.sync_api import Locator, Page, expect


def open_dialog(page: Page, button: str) -> Locator:
    page.get_by_role("button", name=button, exact=True).first.click()
    return find_dialog(page)


def find_dialog(page: Page, name: str | None = None) -> Locator:
    """The one that is open, or of several the one with this heading."""
    found = page.get_by_role("dialog", name=name) if name else page.get_by_role("dialog").last
    expect(found).to_be_visible()
    return found


def write(scope: Locator, texts: Mapping[str, str]) -> None:
    """Label → text."""
    for label, text in texts.items():
        scope.get_by_role("textbox", name=label, exact=True).fill(text)


def choose(scope: Locator, label: str, option: str) -> None:
    """The option of the list below the field `label` that says `option`."""
    field = scope.get_by_role("combobox", name=label, exact=True)
    field.click()
    scope.page.get_by_role("option").filter(has_text=option).first.click()
    field.press("Tab")


def send(dialog: Locator, button: str, told: str) -> None:
    """Press the button, and wait until the page says `told` and the dialog is gone."""
    dialog.get_by_role("button", name=button, exact=True).click()
    expect(dialog.page.get_by_text(told, exact=True).last).to_be_visible()
    expect(dialog).to_have_count(0)


def choose_deed(page: Page, row: str, deed: str) -> None:
    """In the menu of the row that says `row`."""
    page.get_by_role("row").filter(has_text=row).get_by_role("button", name="What to do").click()
    page.get_by_role("menuitem", name=deed, exact=True).click()


def consent(page: Page, button: str, told: str, name: str | None = None) -> None:
    """Say yes to a question, after writing the `name` of what will be lost where it asks so."""
    dialog = find_dialog(page)
    if name is not None:
        dialog.get_by_role("textbox").fill(name)
    send(dialog, button, told)
