"""The tasks of the guides, one after the other, as their pages tell them; pictures of each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.e2e.gui.conftest import OpenAs
from tests.running.forms import choose, find_dialog, open_dialog, send, write
from tests.running.rest import Api
from tests.running.sessions import ask_graph, await_status, enqueue, resources, start
from tests.running.shots import keep_shot
from tests.running.stack import Stack

IMAGE = "bai/python:3.11"
FOLDERS = ("climate-data", "course-notes", "trained-models")
FILES = [
    ("README.md", b"# Climate\n\nDaily means of 40 stations.\n"),
    ("stations.csv", b"id,lat,lon\n"),
]
PROJECT = "vision-lab"
PEOPLE = ("mina@example.com", "jun@example.com")


@dataclass(frozen=True)
class Lab:
    """A small group at work: one session runs on each core, another waits for one."""

    running: str
    waiting: str
    folder: str


@pytest.fixture
def lab(stack: Stack, api: Api) -> Iterator[Lab]:
    made = [api.ask("POST", "/folders", {"name": name}).json()["id"] for name in FOLDERS]
    running = start(api, "notebook", config=resources("1", "512m"))
    start(api, "train-resnet", config=resources(str(int(stack.cores) - 1), "1g"))
    waiting = enqueue(api, "evaluate", config=resources("1", "512m"))
    await_status(api, waiting, "PENDING")
    yield Lab(running, waiting, made[0])
    for name, folder in zip(FOLDERS, made, strict=True):
        api.ask("DELETE", f"/folders/{name}")
        api.ask("POST", "/folders/purge", {"id": folder})


def show(page: Page, name: str) -> None:
    """When nothing is loaded any more."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    keep_shot(page, f"guide-{name}")


def test_the_tasks_of_the_user_guide(open_as: OpenAs, lab: Lab) -> None:
    visit = open_as("user")
    show(visit.page, "start")

    page = visit.go(f"/folders/{lab.folder}")
    files = [FilePayload(name=name, mimeType="text/plain", buffer=data) for name, data in FILES]
    page.get_by_test_id("files").set_input_files(files)
    for name, _ in FILES:
        expect(page.get_by_role("row").filter(has_text=name)).to_be_visible()
    page.get_by_role("button", name="Clear finished").click()
    show(page, "explorer")

    show(visit.go("/folders"), "folders")

    page = visit.go(f"/launch?image={IMAGE}")
    page.get_by_label("Name").first.fill("first-try")
    choose(page.get_by_role("main"), "Folders to mount", "climate-data")
    expect(page.get_by_label("Plan")).to_contain_text("Would wait")
    page.get_by_role("heading", level=1).click()
    show(page, "launch")

    page = visit.go(f"/sessions?open={lab.running}")
    expect(find_dialog(page).get_by_text(re.compile("CPU"))).not_to_have_count(0)
    curve = find_dialog(page).locator(".recharts-area-curve").first
    expect(curve).to_have_attribute("d", re.compile("C.*C"))
    show(page, "session")
    page = visit.go(f"/sessions?open={lab.waiting}&tab=history")
    expect(find_dialog(page)).to_contain_text("Waiting")
    show(page, "waiting")

    show(visit.go("/dashboard"), "dashboard")
    page = visit.go("/me?tab=security")
    page.get_by_role("button", name="Add an authenticator").click()
    expect(find_dialog(page)).to_contain_text("Scan this")
    show(page, "security")
    assert not visit.errors + visit.refused


@pytest.fixture
def keeper(stack: Stack) -> Iterator[Api]:
    """What the guide has an administrator make is gone afterwards."""
    api = stack.api("admin")
    yield api
    purge = "mutation($email: String!) { purge_user(email: $email, props: {}) { ok } }"
    for email in PEOPLE:
        ask_graph(api, purge, {"email": email})
    rows = ask_graph(api, "{ groups { id name } }", {})["groups"]
    for row in (row for row in rows if row["name"] == PROJECT):
        ask_graph(api, "mutation($id: UUID!) { purge_group(gid: $id) { ok } }", {"id": row["id"]})
    name = {"name": "students"}
    query = "mutation($name: String!) { delete_keypair_resource_policy(name: $name) { ok } }"
    ask_graph(api, query, name)
    api.close()


def test_the_tasks_of_the_admin_guide(open_as: OpenAs, lab: Lab, keeper: Api) -> None:
    visit = open_as("admin")
    dialog = open_dialog(visit.go("/projects"), "Create a project")
    write(dialog, {"Name": PROJECT, "Description": "Seeing machines"})
    send(dialog, "Create", f"{PROJECT} has been created.")

    dialog = open_dialog(visit.go("/policies"), "Create a policy")
    write(dialog, {"Name": "students", "CPU (cores)": "4", "Memory": "8 GiB"})
    write(dialog, {"Sessions at once": "2"})
    show(visit.page, "policy")
    send(dialog, "Create", "students has been created.")

    for email in PEOPLE:
        dialog = open_dialog(visit.go("/users"), "Create a user")
        write(dialog, {"Email": email, "Username": email.partition("@")[0]})
        write(dialog, {"Password": "First-password-1"})
        choose(dialog, "Projects", PROJECT)
        send(dialog, "Create", f"{email} has been created.")
    show(visit.go("/users"), "users")

    page = visit.go("/projects")
    page.get_by_role("row").filter(has_text=PROJECT).get_by_text(PROJECT).first.click()
    expect(find_dialog(page)).to_contain_text(PEOPLE[0])
    show(page, "project")

    show(visit.go("/queue"), "queue")
    show(visit.go("/agents"), "agents")
    show(visit.go("/audit"), "audit")
    show(visit.go("/environments"), "environments")
    show(visit.go("/settings"), "settings")
    page = visit.go("/maintenance")
    page.get_by_label("Message").fill("Friday, 18:00 to 20:00: the nodes get new drivers.")
    show(page, "maintenance")
    assert not visit.errors + visit.refused
