"""Nodes that join a manager which has a key pair and several members of etcd, as in production."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import pytest

from backendai.agent.joining.decide import Plan
from backendai.agent.joining.join import join as join_cluster
from backendai.agent.settings import AgentSettings
from backendai.common.contracts.joining import CONTRACT, JOIN_PATH, PROVE, Proof, Prove, Welcome
from backendai.common.rpc.curve import KeyPair, ensure_keypair, generate_keypair, load_keypair
from backendai.common.rpc.server import RpcServer
from backendai.common.settings.checks import HostPort
from backendai.common.settings.load import check_settings
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.test_joining import make_token
from tests.integration.manager.api.test_nodes import AsUser

NODE: Final = generate_keypair()
# A member of etcd that is away.
AWAY: Final = HostPort("127.0.0.1", 9)
Join = Callable[[str, str], Awaitable[Answer]]


@pytest.fixture(scope="module")
def settings(settings: ManagerSettings, module_dir: Path) -> ManagerSettings:
    key_file = module_dir / "manager.key"
    ensure_keypair(key_file)
    own = replace(settings.manager, rpc_keypair=key_file)
    return replace(settings, manager=own, etcd=replace(settings.etcd, more_addrs=(AWAY,)))


@pytest.fixture(scope="module")
def manager_key(settings: ManagerSettings) -> str:
    assert settings.manager.rpc_keypair is not None
    return load_keypair(settings.manager.rpc_keypair).public


@pytest.fixture
def join(nobody: Caller) -> Join:
    async def ask(token: str, address: str) -> Answer:
        body = {"agent_id": "i-new", "address": address, "public_key": NODE.public}
        return await nobody.ask("POST", JOIN_PATH, {"token": token, **body})

    return ask


@asynccontextmanager
async def node_with(pair: KeyPair) -> AsyncIterator[str]:
    """A machine that answers whoever knows its key. Gives its address."""

    async def prove(asked: Prove) -> Proof:
        return Proof(asked.nonce, "i-new")

    server = RpcServer("tcp://127.0.0.1:*", pair, lambda _key: True, CONTRACT)
    server.on(PROVE, prove)
    async with server:
        yield server.address.removeprefix("tcp://")


async def test_a_node_is_told_the_key_of_managers_and_every_member_of_etcd(
    manager_key: str, settings: ManagerSettings, as_user: AsUser, join: Join
) -> None:
    async with node_with(NODE) as address:
        answer = await join(await make_token(as_user("root")), address)
    assert answer.status == 200, answer.body
    welcome = msgspec.json.decode(answer.body, type=Welcome)
    assert manager_key in welcome.manager_keys
    assert welcome.etcd.members == (settings.etcd.addr, AWAY)


async def test_a_key_without_its_secret_half_is_refused(
    manager_key: str, as_user: AsUser, join: Join
) -> None:
    """Who names the key of another node cannot answer by it, and spoils nothing for that node."""
    token = await make_token(as_user("root"))
    async with node_with(generate_keypair()) as address:
        answer = await join(token, address)
    assert (answer.status, answer.slug) == (422, "node-unreachable")
    assert manager_key not in answer.body.decode()
    async with node_with(NODE) as address:
        assert (await join(token, address)).status == 200


async def test_a_machine_joins_and_again_by_another_name_of_the_manager(
    manager_key: str, manager: Manager, settings: ManagerSettings, as_user: AsUser, tmp_path: Path
) -> None:
    token, config = await make_token(as_user("root")), tmp_path / "agent.toml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        rpc_port = free.getsockname()[1]
    for name in ("127.0.0.1", "localhost"):
        url = f"http://{name}:{manager.address.port}"
        plan = Plan(url, token, config, "i-joined", host="localhost", rpc_port=rpc_port)
        written = check_settings(AgentSettings, await join_cluster(plan), "agent.toml")
        assert written.etcd.members == (
            HostPort(name, settings.etcd.addr.port),
            HostPort(name, AWAY.port),
        )
        assert written.agent.rpc_listen_addr == HostPort("127.0.0.1", rpc_port)
        assert (tmp_path / "manager-keys").read_text() == f"{manager_key}\n"
