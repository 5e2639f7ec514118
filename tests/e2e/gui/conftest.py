"""People in front of the GUI of a running stack."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.running.browser import Visit, open_browser, open_visit
from tests.running.stack import Stack

OpenAs = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


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
