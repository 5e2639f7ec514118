"""Every page, on a desk and on a phone, light and dark: no error behind it, few calls, nothing too
wide, no barrier for people who cannot see or point. A picture of each is kept.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.axe import find_barriers
from tests.running.browser import DESKTOP, PHONE, Visit
from tests.running.shots import keep_shot

CALLS_MAX = 8
OF_ALL = [
    "/start", "/dashboard", "/sessions", "/launch", "/folders", "/environments", "/usage", "/me",
]  # fmt: skip
OF_ADMINS = [
    "/users", "/keypairs", "/projects", "/domains", "/policies", "/agents", "/resource-groups",
    "/storage", "/audit", "/queue", "/settings", "/maintenance",
]  # fmt: skip


@pytest.mark.parametrize(("who", "paths"), [("user", OF_ALL), ("admin", [*OF_ALL, *OF_ADMINS])])
def test_every_page_opens_without_an_error_and_without_a_barrier(
    open_as: OpenAs, axe: Path, who: str, paths: list[str]
) -> None:
    faults: list[str] = []
    for size, first, second in ((DESKTOP, "light", "dark"), (PHONE, "dark", "light")):
        visit = open_as(who, viewport=size, color_scheme=first)
        name = "desktop" if size is DESKTOP else "phone"
        if size is DESKTOP:
            assert list_menu(visit.page) == sorted({*paths} - {"/me"})
        for path in paths:
            faults += look_at(visit, path)
            faults += [f"{path} {name} {said}" for said in find_barriers(visit.page, axe)]
            shot = f"{who}{path.replace('/', '-')}-{name}"
            keep_shot(visit.page, f"{shot}-{first}")
            visit.page.emulate_media(color_scheme=second)
            keep_shot(visit.page, f"{shot}-{second}")
            visit.page.emulate_media(color_scheme=first)
    assert not faults, "\n".join(faults)


def list_menu(page: Page) -> list[str]:
    links = page.get_by_label("Pages").get_by_role("link")
    return sorted(link.get_attribute("href") or "" for link in links.all())


def look_at(visit: Visit, path: str) -> list[str]:
    """What is wrong with a page as it is opened."""
    visit.forget()
    page = visit.go(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    faults = [*visit.errors, *visit.refused]
    if len(visit.calls) > CALLS_MAX:
        faults.append(f"{len(visit.calls)} calls: {visit.calls}")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        faults.append(f"{wide} px wider than the window")
    return [f"{path} {fault}" for fault in faults]


def test_a_page_that_was_broken_off_on_its_way_is_asked_for_again(open_as: OpenAs) -> None:
    page = open_as().page
    broken: list[str] = []

    def break_once(route: Route) -> None:
        broken.append(route.request.url)
        if len(broken) == 1:
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route("**/assets/Launch-*.js", break_once)
    page.get_by_role("navigation").get_by_role("link", name="Launch a session").click()
    expect(page.get_by_role("heading", level=1, name="Launch a session")).to_be_visible()
    assert len(broken) == 2
