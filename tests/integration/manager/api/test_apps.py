"""Apps: the list, start and stop, tunnels, terminals, and what ends them."""

import asyncio
import base64
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import WSMsgType, web

from backendai.common.contracts import agent as c
from backendai.common.contracts.wsproxy import ProxyConf, check_conf
from backendai.common.faults import AgentFailure
from backendai.common.secretfile import load_secret_key, write_secret_key
from backendai.common.tickets import derive_relay_key
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings, RelaySettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.relay import ScriptedRelay, echoing, listening, shell
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]
APPS = (
    c.ServicePort(name="jupyter", protocol="http", ports=[8080, 8081]),
    c.ServicePort(name="echo", protocol="tcp", ports=[7]),
    c.ServicePort(name="ttyd", protocol="http", ports=[]),
)
ROUTES = [
    ("POST", "/session/{s}/start-service", {"app": "jupyter"}),
    ("POST", "/session/{s}/shutdown-service", {"service_name": "jupyter"}),
    ("GET", "/stream/session/{s}/apps", None),
    ("GET", "/stream/session/{s}/tcpproxy?app=echo", None),
    ("GET", "/stream/session/{s}/httpproxy?app=echo", None),
    ("GET", "/stream/session/{s}/pty", None),
    ("DELETE", "/session/{s}/circuits", None),
    ("DELETE", f"/circuits/{uuid.UUID(int=0)}", None),
]


@pytest.fixture(scope="module")
def settings(settings: ManagerSettings, module_dir: Path) -> ManagerSettings:
    """With the secret of relays."""
    path = module_dir / "relay.key"
    write_secret_key(path)
    return replace(settings, relay=RelaySettings(secret_key_file=path))


@pytest.fixture
def secret(settings: ManagerSettings) -> bytes:
    assert settings.relay.secret_key_file is not None
    return load_secret_key(settings.relay.secret_key_file)


@pytest.fixture
async def relay(agent: ScriptedAgent, manager: Manager) -> AsyncIterator[ScriptedRelay]:
    """Of the one node, with the key that the manager gave to it, and two apps behind it."""
    relay = ScriptedRelay()
    agent.apps = APPS
    agent.relay_addr = await relay.start()
    agent.change_version()

    async def is_keyed() -> bool:
        return bool(agent.asked_of("set_relay_keys"))

    await until(is_keyed)
    relay.keys = agent.asked_of("set_relay_keys")[0].keys
    async with echoing() as port:
        relay.apps["echo"] = port
        yield relay
    await relay.stop()


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES)
async def test_strangers_are_refused(
    alice: Caller, nobody: Caller, verb: str, path: str, body: Any
) -> None:
    target = path.format(s="some-session")
    assert (await nobody.ask(verb, target, body)).status == 401
    assert (await alice.but(secret_key="wrong").ask(verb, target, body)).status == 401


async def test_apps_of_others_are_not_there(
    alice: Caller, bob: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    made = await create(alice, name)
    for verb, path, body in ROUTES:
        for reference in (name, made["sessionId"]):
            answer = await bob.ask(verb, path.format(s=reference), body)
            assert (answer.status, answer.slug) == (404, "object-not-found"), path
    assert relay.opened == []


async def test_each_agent_gets_the_key_of_its_own_relay(
    relay: ScriptedRelay, agent: ScriptedAgent, secret: bytes
) -> None:
    assert relay.keys == [derive_relay_key(secret, agent.agent_id)]


async def test_the_apps_are_listed(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    made = await create(alice, name)
    told = [{"name": one.name, "protocol": one.protocol, "ports": one.ports} for one in APPS]
    assert (await alice.ask("GET", f"/stream/session/{name}/apps")).json == told
    query = "query($id: UUID!) { compute_session(id: $id) { service_ports } }"
    found = (await alice.graph(query, id=made["sessionId"]))["data"]["compute_session"]
    assert json.loads(found["service_ports"])[0] == {
        "name": "jupyter",
        "protocol": "http",
        "ports": [8080, 8081],
        "container_ports": [8080, 8081],
        "host_ports": [None, None],
        "is_inference": False,
    }


async def test_a_tunnel_carries_bytes(
    alice: Caller, relay: ScriptedRelay, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name)
    arguments = json.dumps({"--flag": None, "-x": ["1", "2"]})
    target = f"/stream/session/{name}/tcpproxy?app=echo&arguments={arguments}&envs=%7B%7D"
    async with alice.socket(target.replace(" ", "").replace('"', "%22")) as socket:
        data = bytes(range(256)) * 4096
        await socket.send_bytes(data)
        got = bytearray()
        while len(got) < len(data):
            got += await socket.receive_bytes()
        assert got == data
        await socket.send_bytes(b"bye")
        end = await socket.receive()
    assert (end.type, end.data) == (WSMsgType.CLOSE, 1001)
    request = agent.asked_of("start_app")[-1]
    assert request.arguments == {"--flag": None, "-x": ["1", "2"]}
    ticket = relay.opened[-1]
    assert (ticket.agent, ticket.app, ticket.port) == (agent.agent_id, "echo", 7)
    assert ticket.kernel == agent.asked_of("ensure")[-1].kernel_id
    assert (await alice.ask("GET", f"/session/{made['sessionId']}")).status == 200


async def test_what_was_sent_before_a_client_went_away_arrives(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    """Clients of the older kind close the WebSocket when they have nothing more to send."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(b"x" * 1000)
            heard.set_result(await reader.read())
        writer.close()

    await create(alice, name)
    async with listening(hear) as port:
        relay.apps["echo"] = port
        async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
            data = b"y" * (1 << 20)
            await socket.send_bytes(data)
        assert await heard == data


async def test_bytes_behind_the_end_of_the_bytes_are_refused(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    await create(alice, name)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""
        await relay_is_left.wait()
        writer.close()

    relay_is_left = asyncio.Event()
    async with listening(listen) as port:
        relay.apps["echo"] = port
        async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
            for data in (b"", b"late"):
                await socket.send_bytes(data)
            assert (await socket.receive()).data == 1002
        relay_is_left.set()


async def test_who_goes_away_lets_the_app_go(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    await create(alice, name)
    async with alice.socket(f"/stream/session/{name}/httpproxy?service=echo") as socket:
        await socket.send_bytes(b"x")
        assert await socket.receive_bytes() == b"x"
        assert len(relay.live) == 1

    async def is_free() -> bool:
        return not relay.live

    await until(is_free)


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("app=jupyter", 1013, "does not accept connections"),
        ("app=nothing", 1011, "'nothing'; the session has jupyter, echo, ttyd"),
        ("app=echo&port=8", 1011, "port is none of echo's: 7"),
    ],
)
async def test_what_cannot_be_had_is_closed_and_not_refused(
    alice: Caller,
    relay: ScriptedRelay,
    create: Create,
    name: str,
    query: str,
    code: int,
    words: str,
) -> None:
    await create(alice, name)
    async with alice.socket(f"/stream/session/{name}/tcpproxy?{query}") as socket:
        end = await socket.receive()
    assert (end.type, end.data) == (WSMsgType.CLOSE, code)
    assert words in str(end.extra)


async def test_an_app_that_does_not_start_is_told(
    alice: Caller, relay: ScriptedRelay, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)

    async def fail(_: c.StartApp) -> c.AppStarted:
        raise AgentFailure("it ended with exit code 1")

    agent.start_app = fail
    async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
        end = await socket.receive()
    assert end.data == 1011
    assert "exit code 1" in str(end.extra)


async def test_a_tunnel_needs_a_running_session_and_an_app(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    await create(alice, name, enqueueOnly=True, config={"resources": {"cpu": "8", "mem": "16g"}})
    missing = await alice.ask("GET", f"/stream/session/{name}/tcpproxy")
    assert (missing.status, missing.slug) == (400, "invalid-api-params")
    for path in (f"/session/{name}/start-service", f"/session/{name}/shutdown-service"):
        assert (await alice.ask("POST", path, {})).status == 400
    async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
        end = await socket.receive()
    assert end.data in (1011, 1013)
    await alice.ask("DELETE", f"/session/{name}?forced=true")


async def test_text_is_no_bytes(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    await create(alice, name)
    async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == 1003


async def test_a_terminal_speaks_to_the_shell(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    await create(alice, name)
    asked: list[bytes] = []
    views: list[dict[str, str]] = []
    target = f"/stream/session/{name}/pty?rows=40&cols=120"
    async with shell(asked, views) as port, alice.socket(target) as socket:
        relay.apps["ttyd"] = port
    async with shell(asked, views) as port:
        relay.apps["ttyd"] = port
        async with alice.socket(target) as socket:
            await _type(socket, b"ls\n")
            frame = await socket.receive_json()
            assert frame["type"] == "out"
            assert base64.b64decode(frame["data"]) == b"LS\n"
            await socket.send_json({"type": "resize", "rows": 10, "cols": 20})
            await socket.send_json({"type": "ping"})
            await socket.send_json({"type": "resize", "rows": 0, "cols": 20})
            assert (await socket.receive_json())["type"] == "error"
            await socket.send_json({"type": "stdin", "chars": "!"})
            assert (await socket.receive_json())["data"] == "chars is not base64"
            await _type(socket, b"exit\n")
            end = await socket.receive()
    assert (end.type, end.data) == (WSMsgType.CLOSE, 1000)
    assert views[-1] == {"terminal": "main", "rows": "40", "cols": "120"}
    assert asked == [b"\x00ls\n", b'\x01{"rows":10,"cols":20}', b"\x02", b"\x00exit\n"]


async def _type(socket: aiohttp.ClientWebSocketResponse, data: bytes) -> None:
    await socket.send_json({"type": "stdin", "chars": base64.b64encode(data).decode()})


async def _is_cut(socket: aiohttp.ClientWebSocketResponse) -> aiohttp.WSMessage:
    async with asyncio.timeout(10):
        return await socket.receive()


async def test_the_end_of_a_session_ends_its_streams(
    alice: Caller, relay: ScriptedRelay, create: Create, name: str
) -> None:
    await create(alice, name)
    async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
        await socket.send_bytes(b"x")
        await socket.receive_bytes()
        assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
        assert (await _is_cut(socket)).data == 1001


@pytest.mark.parametrize(
    ("take", "give"),
    [
        (
            "update users set status = 'inactive' where username = 'alice'",
            "update users set status = 'active' where username = 'alice'",
        ),
        (
            "update keypairs set is_active = false where access_key = 'AKALICE'",
            "update keypairs set is_active = true where access_key = 'AKALICE'",
        ),
    ],
)
async def test_who_may_not_come_any_more_is_cut_off(
    alice: Caller,
    manager: Manager,
    relay: ScriptedRelay,
    create: Create,
    name: str,
    take: str,
    give: str,
) -> None:
    await create(alice, name)
    try:
        async with alice.socket(f"/stream/session/{name}/tcpproxy?app=echo") as socket:
            await socket.send_bytes(b"x")
            await socket.receive_bytes()
            await _do(manager, take)
            assert (await _is_cut(socket)).data == 1008
    finally:
        await _do(manager, give)


async def _do(manager: Manager, statement: str, **values: Any) -> Any:
    async with manager.stores.database.begin() as connection:
        return await connection.execute(sa.text(statement), values)


@pytest.fixture
async def proxy(manager: Manager, secret: bytes) -> AsyncIterator[list[ProxyConf]]:
    """What the app proxy of the default resource group was told."""
    told: list[ProxyConf] = []

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"api_version": "v2", "advertise_address": "https://apps.test"})

    async def conf(request: web.Request) -> web.Response:
        body = await request.read()
        check_conf([secret], body, request.headers, datetime.now(UTC))
        told.append(c.msgspec.json.decode(body, type=ProxyConf))
        return web.json_response({"token": "a-token"})

    app = web.Application()
    app.router.add_get("/status", status)
    app.router.add_post("/v2/conf", conf)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    set_address = "update resource_groups set wsproxy_addr = :address where name = 'default'"
    await _do(manager, set_address, address=f"http://127.0.0.1:{runner.addresses[0][1]}/")
    yield told
    await _do(manager, set_address, address="")
    await runner.cleanup()


async def test_an_app_opens_in_a_browser(
    alice: Caller,
    relay: ScriptedRelay,
    agent: ScriptedAgent,
    proxy: list[ProxyConf],
    create: Create,
    name: str,
) -> None:
    made = await create(alice, name)
    body = {"app": "jupyter", "port": 8081, "arguments": "null", "login_session_token": "web"}
    answer = await alice.ask("POST", f"/session/{name}/start-service", body)
    assert answer.json == {"token": "a-token", "wsproxy_addr": "https://apps.test"}
    assert proxy[0].login_session_token == "web"
    assert str(proxy[0].session.id) == made["sessionId"]
    assert proxy[0].session.access_key == "AKALICE"
    circuit = proxy[0].circuit
    assert (circuit.app, circuit.port, circuit.protocol) == ("jupyter", 8081, "http")
    assert circuit.agent_id == agent.agent_id
    version = await alice.ask("GET", "/scaling-groups/default/wsproxy-version")
    assert version.json == {"wsproxy_version": "v2"}
    for wrong, status in (({"app": "nothing"}, 404), ({"app": "jupyter", "port": 9}, 400)):
        assert (await alice.ask("POST", f"/session/{name}/start-service", wrong)).status == status


async def test_without_an_app_proxy_nothing_is_started(
    alice: Caller, relay: ScriptedRelay, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)
    answer = await alice.ask("POST", f"/session/{name}/start-service", {"app": "jupyter"})
    assert answer.status == 503
    assert "No coordinator configured" in answer.json["msg"]
    assert agent.asked_of("start_app") == []


async def _make_circuit(manager: Manager, agent: ScriptedAgent, **more: Any) -> uuid.UUID:
    kernel = agent.asked_of("ensure")[-1]
    values = {
        "id": uuid.uuid4(),
        "session": uuid.UUID(kernel.spec.session_id),
        "kernel": uuid.UUID(kernel.kernel_id),
        "generation": kernel.generation,
        "agent": agent.agent_id,
        "expires": datetime.now(UTC) + timedelta(hours=1),
        "used": None,
        **more,
    }
    await _do(
        manager,
        "insert into circuits (id, session_id, kernel_id, generation, agent_id, app, port,"
        " protocol, owner, access_key, proxy, expires_at, used_at) select :id, :session, :kernel,"
        " :generation, :agent, 'jupyter', 8080, 'http', user_id, access_key, 'p', :expires, :used"
        " from keypairs where access_key = 'AKALICE'",
        **values,
    )
    return uuid.UUID(str(values["id"]))


async def _circuits(caller: Caller, query: str = "") -> list[str]:
    answer = await caller.ask("GET", f"/circuits{query}")
    assert answer.status == 200, answer.body
    return [one["id"] for one in answer.json["circuits"]]


async def test_circuits_are_seen_and_closed_by_their_owner(
    alice: Caller,
    bob: Caller,
    as_user: Callable[[str], Caller],
    manager: Manager,
    relay: ScriptedRelay,
    agent: ScriptedAgent,
    create: Create,
    name: str,
) -> None:
    made = await create(alice, name)
    first, second = [str(await _make_circuit(manager, agent)) for _ in range(2)]
    await _make_circuit(manager, agent, expires=datetime.now(UTC) - timedelta(seconds=1))
    await _make_circuit(manager, agent, generation=99)
    assert set(await _circuits(alice)) == {first, second}
    assert set(await _circuits(alice, f"?sessionId={made['sessionId']}")) == {first, second}
    assert await _circuits(alice, f"?sessionId={uuid.UUID(int=0)}") == []
    assert await _circuits(bob) == await _circuits(as_user("mallory")) == []
    assert set(await _circuits(as_user("carol"))) == {first, second}
    assert (await bob.ask("DELETE", f"/circuits/{first}")).status == 404
    assert (await alice.ask("DELETE", f"/circuits/{first}")).status == 204
    assert (await alice.ask("DELETE", f"/circuits/{first}")).status == 404
    assert (await alice.ask("DELETE", "/circuits/odd")).status == 404
    assert await _circuits(alice) == [second]
    stop = await alice.ask("POST", f"/session/{name}/shutdown-service", {"service_name": "jupyter"})
    assert stop.status == 204
    assert agent.asked_of("stop_app")[0].app == "jupyter"
    assert await _circuits(alice) == []
    await _make_circuit(manager, agent)
    closed = await alice.ask("DELETE", f"/session/{name}/circuits")
    assert closed.json["closed"] >= 1


async def test_who_uses_a_circuit_uses_the_session(
    alice: Caller,
    manager: Manager,
    relay: ScriptedRelay,
    agent: ScriptedAgent,
    create: Create,
    name: str,
) -> None:
    made = await create(alice, name)
    await _make_circuit(manager, agent, used=datetime.now(UTC))
    await manager.services.apps.circuits.note_uses()
    found = await _do(
        manager,
        "select active_by from session_idleness where session_id = :id",
        id=uuid.UUID(made["sessionId"]),
    )
    assert found.scalar_one() == "app"
