"""The install guide: what its pages make is a cluster in which official clients run sessions."""

import pytest

from tests.e2e.operated.conftest import GUIDE, follow
from tests.running.machine import AHEAD, Machine

pytestmark = pytest.mark.timeout(1500)


def test_the_official_client_runs_a_first_session(installed: Machine) -> None:
    follow(installed, "first-session")


def test_a_machine_has_nothing_ahead_that_pages_do_not_install() -> None:
    lines = "".join(path.read_text() for path in GUIDE.iterdir()).splitlines()
    installed = {word for line in lines if line.startswith("apt-get ") for word in line.split()}
    assert set(AHEAD) <= installed


def test_every_page_is_named_by_the_first_one() -> None:
    told = (GUIDE / "README.md").read_text()
    assert not [page.name for page in GUIDE.iterdir() if page.name not in told + "README.md"]
