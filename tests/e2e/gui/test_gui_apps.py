"""Apps of an image, opened from the GUI through the app proxy."""

import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.browser import Visit
from tests.running.images import provide_image
from tests.running.rest import Api
from tests.running.shots import keep_shot
from tests.running.stack import Stack


@pytest.fixture(scope="session")
def jupyter(shared_stack: Stack) -> str:
    return provide_image(shared_stack, "jupyter")


@pytest.fixture
def visit(open_as: OpenAs) -> Iterator[Visit]:
    found = open_as()
    yield found
    assert not found.errors, found.errors
    assert not found.refused, found.refused


def test_jupyter_lab_opens_through_the_proxy_and_a_cell_computes(
    jupyter: str, visit: Visit, api: Api
) -> None:
    name = f"lab-{uuid.uuid4().hex[:6]}"
    page = visit.go(f"/launch?image={jupyter}")
    page.get_by_label("Name").first.fill(name)
    expect(page.get_by_text("Can start now")).to_be_visible()
    page.get_by_role("button", name="Launch", exact=True).click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("RUNNING", exact=True).first).to_be_visible()
    drawer.get_by_role("tab", name="Apps").click()
    keep_shot(page, "user-session-apps-desktop-light")
    with visit.context.expect_page() as opened:
        drawer.get_by_role("button", name="Jupyter Lab").click()
    lab = opened.value
    expect(lab).to_have_url(re.compile("/lab"))
    compute(lab)
    keep_shot(lab, "user-jupyter-lab-desktop-light")


def compute(lab: Page) -> None:
    """A new notebook through Lab's own launcher; its kernel answers over a WebSocket."""
    lab.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
    # What is typed before the notebook is there goes nowhere.
    expect(lab.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
    cell = lab.locator(".jp-Notebook .cm-content").first
    cell.fill("import numpy; print(numpy.arange(10).sum() - 3)")
    expect(cell).to_contain_text("sum() - 3")
    cell.press("Shift+Enter")
    expect(lab.locator(".jp-OutputArea-output").first).to_have_text("42")
