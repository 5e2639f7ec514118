"""People in front of the GUI of a running stack."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.running.axe import find_axe
from tests.running.browser import Visit, open_browser, open_visit
from tests.running.rest import Api
from tests.running.stack import Stack


@dataclass(frozen=True)
class Folder:
    id: str
    name: str


OpenAs = Callable[..., Visit]


PATIENCE_MILLISECONDS = 60_000


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=PATIENCE_MILLISECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="session")
def axe() -> Path:
    return find_axe()


@pytest.fixture
def origin(stack: Stack) -> str:
    return str(stack.daemon("webserver")["address"])


@pytest.fixture
def open_as(stack: Stack, browser: Browser, origin: str, tmp_path: Path) -> Iterator[OpenAs]:
    """A visit of somebody who is logged in, at the start page."""
    with ExitStack() as visits:

        def run(who: str = "user", **more: Any) -> Visit:
            visit = visits.enter_context(open_visit(browser, origin, tmp_path / who, **more))
            known = stack.credentials(who)
            visit.go("/start")
            visit.log_in(known["BAI_LOGIN"], known["BAI_PASSWORD"])
            visit.page.get_by_role("heading", level=1).wait_for()
            visit.page.get_by_label("My menu").wait_for()
            return visit

        yield run


@pytest.fixture
def folder(api: Api) -> Iterator[Folder]:
    """A folder of the first user."""
    name = f"gui-{uuid.uuid4().hex[:8]}"
    made = api.ask("POST", "/folders", {"name": name})
    assert made.status == 201, made.body
    yield Folder(made.json()["id"], name)
    api.ask("DELETE", f"/folders/{name}")
    api.ask("POST", "/folders/purge", {"id": made.json()["id"]})
