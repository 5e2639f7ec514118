"""What administrators do in the GUI: make room for somebody, with a limit, and keep the cluster."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.browser import Visit, open_visit
from tests.running.forms import choose, choose_deed, consent, find_dialog, open_dialog, send, write
from tests.running.rest import Api
from tests.running.sessions import resources
from tests.running.stack import Stack

IMAGE = "bai/python:3.11"


@dataclass(frozen=True)
class Names:
    """Of what one story makes."""

    mark: str

    @property
    def project(self) -> str:
        return f"project-{self.mark}"

    @property
    def policy(self) -> str:
        return f"policy-{self.mark}"

    @property
    def email(self) -> str:
        return f"guest-{self.mark}@example.com"


@pytest.fixture
def names() -> Names:
    return Names(uuid.uuid4().hex[:6])


@pytest.fixture
def visit(open_as: OpenAs) -> Iterator[Visit]:
    """An administrator's; nothing went wrong behind its pages."""
    found = open_as("admin")
    yield found
    assert not found.errors, found.errors
    assert not found.refused, found.refused


def test_an_administrator_makes_room_for_somebody_whose_limit_is_told_to_them(
    visit: Visit, browser: Browser, origin: str, names: Names, tmp_path: Path
) -> None:
    make_project(visit, names)
    make_policy(visit, names)
    make_user(visit, names, "First-password-1")
    with open_visit(browser, origin, tmp_path) as guest:
        guest.go("/start")
        log_in_first(guest, names.email, "First-password-1", "Second-password-2")
        use_it_up(guest, names)
    purge(visit, names)


def make_project(visit: Visit, names: Names) -> None:
    page = visit.go("/projects")
    dialog = open_dialog(page, "Create a project")
    write(dialog, {"Name": names.project, "Description": "Of a story"})
    send(dialog, "Create", f"{names.project} has been created.")
    choose_deed(page, names.project, "Resource groups…")
    dialog = find_dialog(page)
    choose(dialog, "Resource groups", "default")
    send(dialog, "Save", "Saved.")


def make_policy(visit: Visit, names: Names) -> None:
    dialog = open_dialog(visit.go("/policies"), "Create a policy")
    write(dialog, {"Name": names.policy, "CPU (cores)": "2", "Memory": "2 GiB"})
    write(dialog, {"Sessions at once": "1", "Waiting sessions": "1"})
    send(dialog, "Create", f"{names.policy} has been created.")


def make_user(visit: Visit, names: Names, password: str) -> None:
    """In the project, with a keypair that has the policy."""
    page = visit.go("/users")
    dialog = open_dialog(page, "Create a user")
    write(dialog, {"Email": names.email, "Username": names.mark, "Password": password})
    choose(dialog, "Projects", names.project)
    send(dialog, "Create", f"{names.email} has been created.")
    page = visit.go("/keypairs")
    choose_deed(page, names.email, "Modify")
    dialog = find_dialog(page)
    choose(dialog, "Keypair policy", names.policy)
    send(dialog, "Save", "Saved.")
    expect(page.get_by_role("row").filter(has_text=names.email)).to_contain_text(names.policy)


def log_in_first(guest: Visit, email: str, given: str, own: str) -> None:
    """Whoever got a password from somebody else makes one of their own."""
    guest.log_in(email, given)
    page = guest.page
    expect(page.get_by_role("heading", name="Your password has expired")).to_be_visible()
    write(page.locator("form"), {"New password": own, "New password again": own})
    page.get_by_role("button", name="Set and log in").click()
    page.get_by_label("My menu").wait_for()


def use_it_up(guest: Visit, names: Names) -> None:
    """One runs, the second waits, the third is refused, and more than ever allowed, too."""
    page = guest.page
    ask_for(guest, f"one-{names.mark}")
    expect(page.get_by_role("dialog").get_by_text("RUNNING").first).to_be_visible()

    fill_launcher(guest, f"two-{names.mark}")
    plan = page.get_by_label("Plan")
    expect(plan).to_contain_text("Would wait")
    why = "may run 1 session at once; 1 is running. This one starts when another ends."
    expect(plan).to_contain_text(why)
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.get_by_role("dialog").get_by_text(why)).to_be_visible()

    fill_launcher(guest, f"three-{names.mark}")
    page.get_by_role("button", name="Launch", exact=True).click()
    refusal = page.get_by_role("alert").filter(has_text="Too much of yours waits in the queue")
    expect(refusal).to_contain_text("waiting 1, limit 1")
    expect(refusal).to_contain_text("Request ")

    fill_launcher(guest, f"four-{names.mark}")
    page.get_by_role("textbox", name="Memory", exact=True).fill("3")
    expect(plan).to_contain_text("3g of mem is too much")
    page.get_by_role("button", name="Launch", exact=True).click()
    refusal = page.get_by_role("alert").filter(has_text="more than you may ever use at once")
    expect(refusal).to_contain_text("asked 3g, limit 2g")

    end_session(guest, f"one-{names.mark}")
    row = page.get_by_role("row").filter(has_text=f"two-{names.mark}")
    expect(row).to_contain_text("RUNNING")
    end_session(guest, f"two-{names.mark}")
    expect(page.get_by_text("No sessions here")).to_be_visible()


def fill_launcher(visit: Visit, name: str) -> None:
    page = visit.go(f"/launch?image={IMAGE}")
    page.get_by_label("Name").first.fill(name)
    expect(page.get_by_label("Plan").get_by_role("status")).not_to_have_text(
        "Asking the scheduler…"
    )


def ask_for(visit: Visit, name: str) -> None:
    fill_launcher(visit, name)
    expect(visit.page.get_by_text("Can start now")).to_be_visible()
    visit.page.get_by_role("button", name="Launch", exact=True).click()


def end_session(visit: Visit, name: str) -> None:
    page = visit.go("/sessions")
    page.get_by_role("row").filter(has_text=name).get_by_role("button", name="Terminate").click()
    find_dialog(page).get_by_role("button", name="Terminate").click()
    expect(page.get_by_role("row").filter(has_text=name)).to_have_count(0)


def purge(visit: Visit, names: Names) -> None:
    page = visit.go("/users")
    choose_deed(page, names.email, "Purge")
    consent(page, "Purge", f"{names.email} has been purged.", names.email)
    page = visit.go("/projects")
    choose_deed(page, names.project, "Purge")
    consent(page, "Purge", f"{names.project} has been purged.", names.project)
    page = visit.go("/policies")
    choose_deed(page, names.policy, "Delete")
    consent(page, "Delete", f"{names.policy} has been deleted.")


def test_accounts_are_changed_in_forms(visit: Visit, names: Names) -> None:
    page = visit.go("/domains")
    domain = f"domain-{names.mark}"
    dialog = open_dialog(page, "Create a domain")
    write(dialog, {"Name": domain, "CPU (cores)": "4", "Description": "Of a story"})
    send(dialog, "Create", f"{domain} has been created.")
    choose_deed(page, domain, "Modify")
    dialog = find_dialog(page)
    write(dialog, {"Memory": "8 GiB"})
    send(dialog, "Save", "Saved.")
    expect(page.get_by_role("row").filter(has_text=domain)).to_contain_text("4 cores · 8 GiB")
    choose_deed(page, domain, "Purge")
    consent(page, "Purge", f"{domain} has been purged.", domain)

    page = visit.go("/users")
    dialog = open_dialog(page, "Create a user")
    write(dialog, {"Email": names.email, "Username": names.mark, "Password": "First-password-1"})
    send(dialog, "Create", f"{names.email} has been created.")
    choose_deed(page, names.email, "Modify")
    dialog = find_dialog(page)
    write(dialog, {"Full name": "Somebody New"})
    send(dialog, "Save", "Saved.")
    choose_deed(page, names.email, "Reset the password")
    dialog = find_dialog(page)
    write(dialog, {"New password": "Other-password-3"})
    send(dialog, "Reset the password", "Saved.")

    page.get_by_role("button", name=names.email, exact=True).click()
    drawer = find_dialog(page)
    expect(drawer).to_contain_text("Somebody New")
    drawer.get_by_role("button", name="Create a keypair").click()
    form = find_dialog(page, "Create a keypair")
    form.get_by_role("button", name="Create", exact=True).click()
    secret = find_dialog(page, "The new keypair")
    expect(secret).to_contain_text("Secret key")
    secret.get_by_label("Close").click()
    page = visit.go("/users")
    choose_deed(page, names.email, "Deactivate")
    consent(page, "Deactivate", "Saved.")
    expect(page.get_by_role("row").filter(has_text=names.email)).to_contain_text("inactive")
    choose_deed(page, names.email, "Purge")
    consent(page, "Purge", f"{names.email} has been purged.", names.email)


def test_nodes_and_their_groups_are_changed_in_forms(visit: Visit, names: Names) -> None:
    group = f"group-{names.mark}"
    page = visit.go("/resource-groups")
    dialog = open_dialog(page, "Create a resource group")
    write(dialog, {"Name": group, "Description": "Of a story"})
    send(dialog, "Create", f"{group} has been created.")
    choose_deed(page, group, "Modify")
    dialog = find_dialog(page)
    write(dialog, {"App proxy": "http://127.0.0.1:5050"})
    send(dialog, "Save", "Saved.")
    expect(page.get_by_role("row").filter(has_text=group)).to_contain_text("127.0.0.1:5050")
    choose_deed(page, group, "Delete")
    consent(page, "Delete", f"{group} has been deleted.")

    page = visit.go("/agents")
    name = str(page.get_by_role("row").nth(1).get_by_role("button").first.inner_text())
    choose_deed(page, name, "Drain")
    consent(page, "Drain", "Saved.")
    takes = page.get_by_role("switch", name="Takes new sessions")
    expect(takes).not_to_be_checked()
    choose_deed(page, name, "Open for new sessions")
    expect(takes).to_be_checked()


def test_what_waits_is_moved_forward_and_ended(
    visit: Visit, stack: Stack, api: Api, names: Names
) -> None:
    waiting = {"starts_at": "2h", "enqueueOnly": True, "type": "batch", "startupCommand": "true"}
    body = {"name": f"job-{names.mark}", "image": IMAGE, "config": resources(), **waiting}
    made = api.ask("POST", "/session", {**body, "group": "default", "domain": "default"})
    assert made.status == 201, made.body
    page = visit.go("/queue")
    row = page.get_by_role("row").filter(has_text=f"job-{names.mark}")
    expect(row).to_contain_text("It was asked to start at")
    choose_deed(page, f"job-{names.mark}", "Change the priority")
    dialog = find_dialog(page)
    write(dialog, {"Priority": "90"})
    send(dialog, "Save", "Saved.")
    expect(row).to_contain_text("90")
    choose_deed(page, f"job-{names.mark}", "Terminate")
    find_dialog(page).get_by_role("button", name="Terminate").click()
    expect(row).to_have_count(0)


def test_everybody_is_told_and_the_cluster_is_frozen_and_thawed(
    visit: Visit, open_as: OpenAs
) -> None:
    page = visit.go("/maintenance")
    announce(page, "The cluster rests tonight.", is_shown=True)
    reader = open_as("user").page
    expect(reader.get_by_text("The cluster rests tonight.")).to_be_visible()
    announce(page, "", is_shown=False)
    reader.reload()
    expect(reader.get_by_role("heading", level=1)).to_be_visible()
    expect(reader.get_by_text("The cluster rests tonight.")).to_have_count(0)

    page.get_by_role("button", name="Freeze", exact=True).click()
    consent(page, "Freeze", "Saved.")
    expect(page.get_by_text("The cluster is frozen")).to_be_visible()
    page.get_by_role("button", name="Thaw").click()
    expect(page.get_by_text("The cluster is frozen")).to_have_count(0)
    page.get_by_role("button", name="Recalculate the usage").click()
    expect(page.get_by_text("Counted again.")).to_be_visible()


def test_what_needs_somebody_is_listed_and_a_test_says_who_hears_it(
    visit: Visit, stack: Stack, names: Names
) -> None:
    page = visit.go("/maintenance")
    section = page.get_by_role("region", name="Alerts")
    lost = f"Node i-{names.mark} is lost"
    # Managers write of nodes only that are there, so that this one stays as it is.
    stack.query(
        "INSERT INTO alerts (kind, subject, detail, seen_at, began_at, ended_at) VALUES"
        f" ('agent_lost', 'i-{names.mark}', '{lost}', now(), now() - interval '3 hours', now())"
    )
    section.get_by_role("switch", name="Also what is over").set_checked(True, force=True)
    row = section.locator("div").filter(has_text=lost).filter(has_text="Node lost").last
    expect(row).to_contain_text("began 3 hours ago, over")
    section.get_by_role("switch", name="Also what is over").set_checked(False, force=True)
    expect(section.get_by_text(lost)).to_have_count(0)
    section.get_by_role("button", name="Send a test").click()
    expect(section.get_by_role("alert")).to_contain_text("Nobody is told")


def announce(page: Page, message: str, *, is_shown: bool) -> None:
    form = page.get_by_role("region", name="Announcement")
    write(form, {"Message": message})
    form.get_by_role("switch", name="Show it").set_checked(is_shown, force=True)
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.").last).to_be_visible()
    # The next message says it again: this one is to be gone first.
    for close in page.locator(".mantine-Notification-closeButton").all():
        close.click()
    expect(page.get_by_text("Saved.")).to_have_count(0)
