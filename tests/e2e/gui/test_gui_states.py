"""What pages show when there is nothing, nothing yet, too much, no answer, or the wrong one."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from backendai.common.faults import PROBLEM_CONTENT_TYPE, Fault, InternalError, Unavailable
from backendai.common.http import problem_response
from tests.e2e.gui.conftest import OpenAs
from tests.running.axe import find_barriers
from tests.running.browser import DESKTOP, PHONE, Visit, open_visit
from tests.running.forms import write
from tests.running.rest import Api
from tests.running.sessions import ask_graph, batch
from tests.running.shots import keep_shot
from tests.running.stack import Stack

REQUEST_ID: Final = "0123456789abcdef"
ANYTHING: Final = "00000000-0000-4000-8000-000000000000"
# Every page that asks for something, in the words of its address.
PAGES: Final = {
    "start": "/start",
    "dashboard": "/dashboard",
    "sessions": "/sessions",
    "session": f"/sessions?open={ANYTHING}",
    "launch": "/launch",
    "folders": "/folders",
    "explorer": "/folders/{folder}",
    "environments": "/environments",
    "usage": "/usage",
    "security": "/me?tab=security",
    "keys": "/me?tab=keys",
    "files": "/me?tab=files",
    "terminal": f"/terminal/{ANYTHING}",
    "users": "/users",
    "keypairs": "/keypairs",
    "projects": "/projects",
    "domains": "/domains",
    "policies": "/policies",
    "agents": "/agents",
    "resource-groups": "/resource-groups",
    "storage": "/storage",
    "audit": "/audit",
    "queue": "/queue",
    "settings": "/settings",
    "maintenance": "/maintenance",
}
# They load what they show in different ways; each is asked for again twice before it gives up.
SOME: Final = ("dashboard", "folders", "launch", "users", "maintenance")
# In the words of what is loaded for every page, or stays open: who is logged in, and events.
_LET_THROUGH: Final = ("keypair { resource_policy }", "/func/events/")
MANY: Final = 24
LONG: Final = "a-name-as-long-as-names-may-be-for-whoever-looks-at-it-on-a-phone"


@dataclass
class Answers:
    """Between a page and the webserver: what is asked is held until somebody says what it gets."""

    page: Page
    _held: list[Route]
    _fault: Fault | None = None

    def hold(self) -> None:
        self._held, self._fault = [], None
        self.page.route("**/func/**", self._take)

    def refuse(self, fault: Fault) -> None:
        self._fault = fault
        for route in self._held:
            self._give(route, fault)

    def let_through(self) -> None:
        self.page.unroute("**/func/**")

    def _take(self, route: Route) -> None:
        request = route.request
        if any(word in request.url + (request.post_data or "") for word in _LET_THROUGH):
            route.continue_()
        elif self._fault is None:
            self._held.append(route)
        else:
            self._give(route, self._fault)

    @staticmethod
    def _give(route: Route, fault: Fault) -> None:
        answer = problem_response(fault)
        headers = {"X-Request-Id": REQUEST_ID, "Content-Type": PROBLEM_CONTENT_TYPE}
        route.fulfill(status=answer.status, headers=headers, body=str(answer.text))


def scope_of(page: Page, name: str) -> Locator:
    """Where the page tells how it is: beside the list for one session."""
    return page.get_by_role("dialog" if name == "session" else "main")


def find_faults(page: Page, axe: Path, name: str) -> list[str]:
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"{name}: {fault}" for fault in find_barriers(page, axe)] + [
        f"{name}: {wide} px wider than the window"
    ] * (wide > 0)


@pytest.fixture
def own_folder(stack: Stack) -> Iterator[str]:
    """The id of one of the administrator."""
    api, name = stack.api("admin"), f"gui-{uuid.uuid4().hex[:8]}"
    made = api.ask("POST", "/folders", {"name": name})
    assert made.status == 201, made.body
    yield str(made.json()["id"])
    api.ask("DELETE", f"/folders/{name}")
    api.ask("POST", "/folders/purge", {"id": made.json()["id"]})
    api.close()


@pytest.mark.parametrize(
    ("size", "scheme", "names", "fault"),
    [
        (DESKTOP, "light", tuple(PAGES), InternalError()),
        (PHONE, "dark", SOME, Unavailable("No manager answers.")),
    ],
    ids=["500", "503"],
)
def test_a_page_keeps_its_place_while_it_waits_says_what_failed_and_comes_back(
    open_as: OpenAs,
    own_folder: str,
    axe: Path,
    size: dict[str, int],
    scheme: str,
    names: tuple[str, ...],
    fault: Fault,
) -> None:
    visit = open_as("admin", viewport=size, color_scheme=scheme)
    page, answers = visit.page, Answers(visit.page, [])
    shot = f"{'desktop' if size is DESKTOP else 'phone'}-{scheme}"
    faults: list[str] = []
    for name in names:
        answers.hold()
        visit.go(PAGES[name].format(folder=own_folder))
        look_at_waiting(page, name)
        keep_shot(page, f"loading-{name}-{shot}")
        answers.refuse(fault)
        look_at_failed(page, name, fault)
        faults += find_faults(page, axe, name) if name in SOME else []
        keep_shot(page, f"error-{name}-{shot}")
        answers.let_through()
        come_back(scope_of(page, name))
    assert not faults, "\n".join(faults)


def look_at_waiting(page: Page, name: str) -> None:
    scope = scope_of(page, name)
    expect(scope.locator("[aria-busy=true]").first).to_be_visible()
    # Nothing is said of what is not known yet.
    expect(scope.get_by_role("alert")).to_have_count(0)
    expect(scope.locator("[data-empty]")).to_have_count(0)
    expect(scope.get_by_text("0 / 0")).to_have_count(0)


def look_at_failed(page: Page, name: str, fault: Fault) -> None:
    alert = scope_of(page, name).get_by_role("alert").first
    expect(alert).to_contain_text(fault.title)
    expect(alert).to_contain_text(fault.detail or "tell an administrator the number of the request")
    expect(alert).to_contain_text(f"Request {REQUEST_ID}")
    expect(alert.get_by_role("button", name="Try again")).to_be_visible()


def come_back(scope: Locator) -> None:
    """What was refused is asked for again, and there."""
    again = scope.get_by_role("button", name="Try again")
    # At once: two of them may be of one question.
    again.evaluate_all("buttons => buttons.forEach((button) => button.click())")
    expect(scope.locator("[aria-busy=true]")).to_have_count(0)
    expect(again).to_have_count(0)


def test_a_server_that_is_away_is_told_and_a_form_keeps_what_was_written(open_as: OpenAs) -> None:
    visit = open_as("admin", viewport=PHONE, color_scheme="dark")
    page = visit.go("/domains")
    page.get_by_role("button", name="Create a domain").click()
    form = page.get_by_role("dialog")
    form.get_by_role("textbox", name="Name", exact=True).fill("half-written")
    visit.context.set_offline(True)
    form.get_by_role("button", name="Create", exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    # The form says it: nothing else says it again, over the form.
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(form.get_by_role("textbox", name="Name", exact=True)).to_have_value("half-written")
    keep_shot(page, "error-away-form-phone-dark")
    visit.context.set_offline(False)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "The other site has no verified email address of yours."),
        ("ko", "외부 로그인 사이트에 확인된 이메일 주소가 없습니다."),
    ],
)
def test_who_is_turned_back_by_the_provider_reads_why(
    browser: Browser, origin: str, tmp_path: Path, language: str, words: str
) -> None:
    with open_visit(browser, origin, tmp_path, locale=language) as visit:
        page = visit.go(f"/usage?refused=web.address_unverified&request={REQUEST_ID}")
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(page.get_by_role("alert")).to_contain_text(REQUEST_ID)
        keep_shot(page, f"nobody-login-turned-back-{language}-desktop-light")
        # Told once: who loads the page again begins anew.
        expect(page).to_have_url(f"{origin}/usage")
        assert not visit.errors + visit.refused


@dataclass(frozen=True)
class Newcomer:
    email: str
    password: str


@pytest.fixture
def newcomer(stack: Stack) -> Iterator[Newcomer]:
    """Somebody who has done nothing yet."""
    made = Newcomer(f"new-{uuid.uuid4().hex[:6]}@example.com", "First-password-1")
    api = stack.api("admin")
    add_user(api, made.email, made.password)
    yield made
    purge_user(api, made.email)
    api.close()


def add_user(api: Api, email: str, password: str) -> None:
    query = (
        "mutation($email: String!, $props: UserInput!)"
        " { create_user(email: $email, props: $props) { ok msg } }"
    )
    project = ask_graph(api, "{ groups { id name } }", {})["groups"][0]["id"]
    props = {
        "username": email,
        "password": password,
        "domain_name": "default",
        "group_ids": [project],
        "need_password_change": False,
    }
    done = ask_graph(api, query, {"email": email, "props": props})
    assert done["create_user"]["ok"], done


def purge_user(api: Api, email: str) -> None:
    query = (
        "mutation($email: String!) { delete_user(email: $email) { ok }"
        " purge_user(email: $email, props: {}) { ok msg } }"
    )
    done = ask_graph(api, query, {"email": email})
    assert done["purge_user"]["ok"], done


# What stands where there is nothing, and what can be done first: the name of a link or a button.
EMPTY: Final = [
    ("/start", "Nothing runs yet.", "Start an interactive session"),
    ("/dashboard", "You have no folders yet.", "Create a folder"),
    ("/sessions", "No sessions here", "Launch a session"),
    ("/sessions?show=ended", "Nothing has ended yet", ""),
    ("/sessions?name=none", "Nothing found", "Clear the filters"),
    ("/launch", "No folder is mounted", "Create a folder"),
    ("/folders", "No folders yet", "Create a folder"),
    ("/folders?tab=bin", "The bin is empty", ""),
    ("/folders?tab=invitations", "Nobody has invited you to a folder", ""),
    ("/environments?name=none", "Nothing found", "Clear the filters"),
    ("/usage", "Nothing ran in this time.", "Launch a session"),
    ("/me?tab=keys", "You have no SSH key yet.", "Make a new key"),
    ("/me?tab=files", "No dotfiles yet.", "Add a dotfile"),
    ("/me?tab=failures", "Nothing has been refused to you.", ""),
]


def test_somebody_new_is_told_what_to_do_first(
    newcomer: Newcomer, browser: Browser, origin: str, axe: Path, tmp_path: Path
) -> None:
    faults: list[str] = []
    with open_visit(browser, origin, tmp_path, viewport=PHONE) as visit:
        visit.go("/start")
        visit.log_in(newcomer.email, newcomer.password)
        expect(visit.page.get_by_label("My menu")).to_be_visible()
        for path, said, first in EMPTY:
            page = visit.go(path)
            main = page.get_by_role("main")
            expect(main.get_by_text(said).first).to_be_visible()
            if first:
                link = main.get_by_role("link", name=first).or_(
                    main.get_by_role("button", name=first)
                )
                expect(link.first).to_be_visible()
            faults += find_faults(page, axe, path)
            keep_shot(page, f"empty{path.translate(_PLAIN)}-phone-light")
        faults += visit.errors + visit.refused
    assert not faults, "\n".join(faults)


_PLAIN: Final = str.maketrans("/?=", "---")


def test_filters_that_fit_nothing_are_cleared_in_one_go(open_as: OpenAs) -> None:
    page = open_as("admin").go("/users?email=nobody-at-all&role=monitor&page=2")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.get_by_placeholder("Search by Email")).to_have_value("")
    expect(page.get_by_role("row").nth(1)).to_be_visible()


@pytest.fixture
def crowd(stack: Stack, api: Api) -> Iterator[str]:
    """A cluster with much in it, all of it by names as long as they may be; the mark of them."""
    mark, keeper = uuid.uuid4().hex[:4], stack.api("admin")
    names = [f"{mark}-{number:02}-{LONG}"[:64] for number in range(MANY)]
    emails = [f"{name[:26]}@a-long-name-of-a-domain.example.com" for name in names[:3]]
    try:
        for name in names:
            batch(api, name, f"echo {LONG} {LONG}", starts_at="3h")
            assert api.ask("POST", "/folders", {"name": name}).status == 201
        for email in emails:
            add_user(keeper, email, "First-password-1")
        yield mark
    finally:
        for email in emails:
            purge_user(keeper, email)
        for name in names:
            api.ask("DELETE", f"/folders/{name}")
        for row in api.ask("GET", "/folders").json():
            if row["name"].startswith(mark):
                api.ask("POST", "/folders/purge", {"id": row["id"]})
        keeper.close()


CROWDED: Final = ("/start", "/dashboard", "/sessions", "/folders", "/launch")
CROWDED_OF_ADMINS: Final = ("/audit", "/queue", "/users", "/keypairs", "/agents", "/storage")


def look_at_crowd(visit: Visit, paths: tuple[str, ...], shot: str, axe: Path) -> list[str]:
    faults: list[str] = []
    for path in paths:
        page = visit.go(path)
        page.wait_for_load_state("networkidle")
        faults += find_faults(page, axe, f"{path} {shot}")
        keep_shot(page, f"full{path.translate(_PLAIN)}-{shot}")
    return faults


def test_many_rows_and_long_names_find_room_on_a_phone_and_on_a_desk(
    open_as: OpenAs, crowd: str, axe: Path
) -> None:
    faults: list[str] = []
    for size, scheme in ((PHONE, "light"), (DESKTOP, "dark")):
        visit = open_as("user", viewport=size, color_scheme=scheme)
        shot = f"user-{'desktop' if size is DESKTOP else 'phone'}-{scheme}"
        faults += look_at_crowd(visit, CROWDED, shot, axe)
        faults += look_at_pages(visit, crowd, size is PHONE)
        faults += find_faults(visit.page, axe, f"session {shot}")
        keep_shot(visit.page, f"full-session-{shot}")
    keeper = open_as("admin", viewport=PHONE, color_scheme="dark")
    faults += look_at_crowd(keeper, CROWDED_OF_ADMINS, "admin-phone-dark", axe)
    assert not faults, "\n".join(faults)


def look_at_pages(visit: Visit, mark: str, is_phone: bool) -> list[str]:
    """Rows come in pages; other filters are behind a button on a phone; a waiting one says why."""
    page = visit.go("/sessions")
    rows = page.get_by_role("row").filter(has_text=mark)
    expect(rows).to_have_count(20)
    expect(page.get_by_text(f"{MANY} in all")).to_be_visible()
    page.get_by_label("Next page").click()
    expect(rows).to_have_count(MANY - 20)
    others = page.get_by_role("textbox", name="Type").or_(page.get_by_role("combobox", name="Type"))
    if is_phone:
        expect(others.first).not_to_be_visible()
        page.get_by_role("button", name="Filters").click()
    expect(others.first).to_be_visible()
    page.get_by_placeholder("Search by Name").fill(f"{mark}-07")
    expect(rows).to_have_count(1)
    rows.get_by_role("link").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("It was asked to start at")
    return visit.errors + visit.refused


def test_a_changed_password_that_cannot_end_other_logins_says_so(
    newcomer: Newcomer, browser: Browser, origin: str, tmp_path: Path
) -> None:
    with open_visit(browser, origin, tmp_path) as visit:
        visit.go("/me?tab=security")
        visit.log_in(newcomer.email, newcomer.password)
        page = visit.page
        kept = {"warning": "Other logins could not be ended."}
        page.route("**/func/auth/update-password", lambda route: route.fulfill(json=kept))
        own, renewed = newcomer.password, "Second-password-2"
        write(
            page.get_by_role("main"),
            {"Present password": own, "New password": renewed, "New password again": renewed},
        )
        page.get_by_role("button", name="Change the password").click()
        alert = page.get_by_role("alert").filter(has_text="other logins go on")
        expect(alert).to_be_visible()
        keep_shot(page, "user-password-warning-desktop-light")
        alert.get_by_role("link").click()
        expect(page.get_by_role("tab", name="Logins")).to_have_attribute("aria-selected", "true")
