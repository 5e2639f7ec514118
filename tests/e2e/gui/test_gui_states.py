"""What pages show when there is no answer."""

from playwright.sync_api import expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.browser import PHONE
from tests.running.shots import keep_shot


def test_a_server_that_is_away_is_told_and_a_form_keeps_what_was_written(open_as: OpenAs) -> None:
    visit = open_as("admin", viewport=PHONE, color_scheme="dark")
    page = visit.go("/domains")
    page.get_by_role("button", name="Create a domain").click()
    form = page.get_by_role("dialog")
    form.get_by_role("textbox", name="Name", exact=True).fill("half-written")
    visit.context.set_offline(True)
    form.get_by_role("button", name="Create", exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    expect(form.get_by_role("textbox", name="Name", exact=True)).to_have_value("half-written")
    keep_shot(page, "error-away-form-phone-dark")
    visit.context.set_offline(False)
