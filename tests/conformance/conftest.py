"""The official client, unmodified, as tests ask it.

Each test is held to the table of commands: it runs those that it is there for.
"""

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.calls import Calls
from tests.conformance.doors import KEYS_ONLY, enter, is_session
from tests.conformance.environment import make_client
from tests.conformance.official import Official
from tests.conformance.releases import find_release
from tests.conformance.table import EXIT_CODES, RUN_BY
from tests.conformance.tree import load_tree
from tests.integration.manager.api.conftest import filled
from tests.running.stack import Stack

# Here, so that all modules with a manager of their own copy the same database.
__all__ = ["filled"]


@pytest.fixture(scope="session")
def official_program() -> Path:
    # The client ends its tunnels with SIGINT; a shell has what runs behind it ignore that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return make_client(find_release())


@pytest.fixture(scope="session")
def tree(official_program: Path) -> dict[str, str]:
    """What may be typed -> the name of the command that it is, as the table calls it."""
    renamed = find_release().renamed
    found = load_tree(official_program.with_name("python"))
    return {typed: renamed.get(name, name) for typed, name in found.items()}


@pytest.fixture
def calls(tree: dict[str, str]) -> Calls:
    return Calls(tree)


def pytest_configure() -> None:
    """The client stops its own tunnel with SIGINT and waits for its end; a shell has whatever it
    runs in the background ignore that, and all that this starts with it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        why = KEYS_ONLY.get(item.name)
        if is_session() and why is not None:
            item.add_marker(pytest.mark.skip(why))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None, Any, Any]:
    """A test that passed without running what the table says it runs has failed."""
    result = yield
    claimed = RUN_BY.get(f"{item.path.name}::{item.originalname}", ())
    made = item.funcargs["calls"].made if claimed else []
    missing = [name for name in claimed if (name, EXIT_CODES.get(name, 0)) not in made]
    assert not missing, f"{item.name} ran {made}, not: {missing}"
    return result


@pytest.fixture
def official(official_program: Path, stack: Stack, tmp_path: Path, calls: Calls) -> Official:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    home = tmp_path / "home"
    folder = tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    environ = kept | {"HOME": str(home), "COLUMNS": "200"}
    return enter(Official(official_program, folder, environ, calls), stack)
