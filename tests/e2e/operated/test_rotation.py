"""The page on other keys and passwords, word for word, beside a session that outlives it."""

from typing import Final

import pytest

from tests.e2e.operated.conftest import end_sessions, follow
from tests.e2e.operated.test_systemd import AS_ADMIN, container_of, value_of
from tests.running.machine import Machine
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

# What each replaces, by the heading.
SECRETS: Final = {
    "The managers' key": "manager-keys",
    "A node's key": "agent.key",
    "The key of the ways to apps": "relay.secret",
    "The password of the database": "db-password",
    "What managers and storage proxies share": "storage-manager-secret",
}


@pytest.fixture(scope="module")
def session(installed: Machine) -> str:
    end_sessions(installed)
    installed.ok(f"{AS_ADMIN} backendai session create --name turned -r cpu=1 -r mem=256m")
    installed.ok(f"{AS_ADMIN} backendai session exec turned -c 'x = 40'")
    return "turned"


@pytest.mark.parametrize("heading", SECRETS)
def test_another_secret_ends_nothing(installed: Machine, session: str, heading: str) -> None:
    read = f"cat /etc/backend.ai/{SECRETS[heading]}"
    before, secret = container_of(installed), installed.ok(read)
    follow(installed, f"../rotate#{heading}")
    until(lambda: installed.run(read).out not in ("", secret), "there is another secret")
    assert value_of(installed, session) == "42"
    assert container_of(installed) == before
    # Files, nodes and the database are reached by what is new.
    made = f"{AS_ADMIN} backendai vfolder create turned-{len(heading)}"
    until(lambda: installed.run(made).code == 0, "a folder is made")


def test_sessions_start_with_all_of_it_new(installed: Machine, session: str) -> None:
    installed.ok(f"{AS_ADMIN} backendai session terminate {session}")
    create = f"{AS_ADMIN} backendai session create --name fresh -r cpu=1 -r mem=256m"
    until(lambda: installed.run(create).code == 0, "a session starts")
    assert installed.ok(f"{AS_ADMIN} backendai session exec fresh -c 'print(6 * 7)'") == "42\n"
    installed.ok(f"{AS_ADMIN} backendai session terminate fresh")
