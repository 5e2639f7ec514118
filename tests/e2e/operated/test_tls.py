"""TLS with an authority of the site's own, behind nginx and behind Caddy: people, clients, files,
apps and their WebSockets come through, below paths and by names."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from backendai.halfstack.images import PYTHON
from tests.e2e.operated.conftest import end_sessions, follow
from tests.running.machine import Machine
from tests.running.visitor import Screen, Visitor
from tests.running.wsproxy import Loop

pytestmark = pytest.mark.timeout(1500)

PORTAL: Final = "https://portal.example.org"
UNITS: Final = {"nginx": "nginx", "Caddy": "caddy"}
AS_CLIENT: Final = (
    ". /etc/backend.ai/env-admin.sh; export BACKEND_ENDPOINT=https://api.example.org; "
)
CREATE: Final = f"{AS_CLIENT} export BACKENDAI_IMAGE={PYTHON.name}; backendai session create "


class OneAddress(AbstractResolver):
    """Every name is the machine's."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=self._address, port=port, family=2, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def machine(installed: Machine) -> Machine:
    end_sessions(installed)
    for heading in ("Certificates", "What daemons have to know"):
        follow(installed, f"tls#{heading}")
    return installed


@pytest.fixture(scope="module", params=list(UNITS))
def front(request: pytest.FixtureRequest, machine: Machine) -> Iterator[Machine]:
    follow(machine, f"tls#{request.param}", "tls#Try it")
    yield machine
    machine.ok(f"systemctl disable --quiet --now {UNITS[request.param]}")


@pytest.fixture
def visitor(front: Machine, tmp_path: Path) -> Iterator[Visitor]:
    """A browser that trusts the authority, and whose nameserver knows the site."""
    authority, address = front.ok("cat /etc/backend.ai/tls/authority.crt"), front.address
    trusting = ssl.create_default_context(cadata=authority)
    loop = Loop()
    found = Visitor(
        loop,
        PORTAL,
        connect=lambda: aiohttp.TCPConnector(ssl=trusting, resolver=OneAddress(address)),
    )
    yield found
    found.close()
    loop.stop()


def create(machine: Machine, name: str) -> None:
    done = machine.run(f"{CREATE} --name {name} -r cpu=1 -r mem=256m")
    words = "journalctl --no-pager --output cat --lines 20 --unit backendai-agent"
    assert done.code == 0, f"{done.both}\n{machine.run(words).out}"


def test_clients_run_sessions_by_signed_requests(front: Machine) -> None:
    create(front, "signed")
    assert front.ok(f"{AS_CLIENT} backendai session exec signed -c 'print(6 * 7)'").strip() == "42"
    front.ok(f"{AS_CLIENT} backendai session terminate signed")


def test_files_go_through_the_path_of_the_storage_proxy(front: Machine) -> None:
    front.ok("head -c 3000000 /dev/urandom > /tmp/sent.bin; rm -rf /tmp/got; mkdir /tmp/got")
    front.ok(f"{AS_CLIENT} backendai vfolder create through")
    front.ok(f"cd /tmp; {AS_CLIENT} backendai vfolder upload through sent.bin")
    front.ok(f"cd /tmp/got; {AS_CLIENT} backendai vfolder download through sent.bin")
    front.ok("cmp /tmp/sent.bin /tmp/got/sent.bin")
    front.ok(f"{AS_CLIENT} backendai vfolder delete through")


def test_people_use_a_terminal_behind_the_portal(front: Machine, visitor: Visitor) -> None:
    told = dict(
        line.removeprefix("export ").split("=", 1)
        for line in front.ok("cat /etc/backend.ai/env-admin.sh").splitlines()
    )
    visitor.log_in(told["BAI_LOGIN"], told["BAI_PASSWORD"])
    assert visitor.is_logged_in()
    create(front, "seen")
    listed = f"{AS_CLIENT} backendai session list --filter 'name == \"seen\"' --output json"
    (session,) = json.loads(front.ok(listed))
    address = visitor.open_app(session["id"], "ttyd")
    assert address.endswith(".apps.example.org")
    assert Screen(visitor, address).run("echo $((6 * 7))") == "42"
    front.ok(f"{AS_CLIENT} backendai session terminate seen")
