"""The rig for all tests of a run, whole before and after each of them."""

from collections.abc import Iterator

import pytest

from tests.hosts.rig import Rig, run_rig
from tests.running.rest import Api
from tests.running.sessions import end_all
from tests.running.waiting import until


@pytest.fixture(scope="session")
def running_rig() -> Iterator[Rig]:
    with run_rig() as made:
        yield made


@pytest.fixture
def rig(running_rig: Rig, admin: Api) -> Iterator[Rig]:
    """All hosts up and ALIVE before a test; no session, container or drift after it."""
    _make_whole(running_rig, admin)
    yield running_rig
    _make_whole(running_rig, admin)
    for who in ("user", "admin"):
        end_all(running_rig.stack.api(who))
    until(lambda: not running_rig.stack.drift(), "no drift after the test")
    until(lambda: not any(host.containers() for host in running_rig.hosts), "no container is left")


def _make_whole(rig: Rig, admin: Api) -> None:
    # A manager that was stopped meanwhile has hung up.
    admin.close()
    rig.mend(admin)
    until(lambda: rig.are_alive(admin), "all hosts are ALIVE")


@pytest.fixture
def api(running_rig: Rig) -> Iterator[Api]:
    """The API as the first user."""
    found = running_rig.stack.api()
    yield found
    found.close()


@pytest.fixture
def admin(running_rig: Rig) -> Iterator[Api]:
    """The API as the superadmin."""
    found = running_rig.stack.api("admin")
    yield found
    found.close()
