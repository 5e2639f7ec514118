"""Every page, on a desk and on a phone: no error behind it, few calls, nothing too wide."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.browser import DESKTOP, PHONE

CALLS_MAX = 8
OF_ALL = [
    "/start",
    "/dashboard",
    "/sessions",
    "/launch",
    "/folders",
    "/environments",
    "/usage",
    "/me",
]
OF_ADMINS = [
    "/users", "/keypairs", "/projects", "/domains", "/policies", "/agents", "/resource-groups",
    "/storage", "/audit", "/queue", "/settings", "/maintenance",
]  # fmt: skip


@pytest.mark.parametrize(("who", "paths"), [("user", OF_ALL), ("admin", [*OF_ALL, *OF_ADMINS])])
def test_every_page_opens_without_an_error_and_with_few_calls(
    open_as: OpenAs, who: str, paths: list[str], tmp_path: Path
) -> None:
    for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        visit = open_as(who, viewport=size, color_scheme=scheme)
        for path in paths:
            visit.forget()
            page = visit.go(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            page.wait_for_load_state("networkidle")
            assert not visit.errors, (path, visit.errors)
            assert not visit.refused, (path, visit.refused)
            assert len(visit.calls) <= CALLS_MAX, (path, visit.calls)
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is {wide} px wider than {size['width']}"
            page.screenshot(path=tmp_path / f"{who}{path.replace('/', '-')}-{scheme}.png")
