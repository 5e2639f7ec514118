"""Our own SDK and command on apps: lists, tunnels, terminals and circuits, through a relay."""

import asyncio
import os
import pty
import select
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from backendai.client import Client, Config
from backendai.client.apps.rows import AppOptions
from backendai.common.faults import AppNotFound, AuthFailed, CircuitNotFound, Fault, SessionNotFound
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.command import run_inside
from tests.integration.manager.api.relay import ScriptedRelay, listening, shell
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_apps import _make_circuit, relay, settings
from tests.integration.manager.api.test_client import environ_of

__all__ = ["relay", "settings"]

Create = Callable[..., Awaitable[dict[str, Any]]]
PROGRAM = Path(sys.executable).with_name("backendai")


@pytest.fixture
async def client(manager: Manager) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as client:
        yield client


@pytest.fixture
async def demo(alice: Caller, relay: ScriptedRelay, create: Create, name: str) -> str:
    """A running session of alice's with apps."""
    await create(alice, name)
    return name


async def test_no_credential_a_wrong_one_and_someone_elses(manager: Manager, demo: str) -> None:
    wrong = {**environ_of(manager, "alice"), "BACKEND_SECRET_KEY": "another"}
    async with Client(Config.from_environment(wrong)) as stranger:
        with pytest.raises(AuthFailed):
            await stranger.apps.list(demo)
    async with Client(Config.from_environment(environ_of(manager, "bob"))) as bob:
        with pytest.raises(SessionNotFound):
            await bob.apps.list(demo)
        with pytest.raises(Fault):
            async with bob.apps.pipe(demo, "echo"):
                pass
        with pytest.raises(CircuitNotFound):
            await bob.apps.close_circuit(str(uuid.UUID(int=0)))


async def test_a_tunnel_is_a_local_port(
    client: Client, relay: ScriptedRelay, agent: ScriptedAgent, demo: str
) -> None:
    assert [one.name for one in await client.apps.list(demo)] == ["jupyter", "echo", "ttyd"]
    told: list[Fault] = []
    options = AppOptions(arguments={"--x": None}, envs={"A": "1"})
    async with await client.apps.open_tunnel(demo, "echo", options) as tunnel:
        data = os.urandom(1 << 20)
        for _ in range(2):
            reader, writer = await asyncio.open_connection(*tunnel.address)
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            writer.write(b"bye")
            assert await reader.read() == b""
            writer.close()
    assert agent.asked_of("start_app")[-1].envs == {"A": "1"}
    async with await client.apps.open_tunnel(demo, "jupyter", on_fault=told.append) as tunnel:
        reader, writer = await asyncio.open_connection(*tunnel.address)
        assert await reader.read() == b""
        writer.close()
    assert "The app does not accept connections." in str(told[0])
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*tunnel.address)


async def test_the_answer_to_a_request_that_has_ended_arrives(
    client: Client, relay: ScriptedRelay, demo: str
) -> None:
    """As with any TCP connection: who has finished sending is still sent to."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read()
        writer.write(b"%d " % len(request) + b"x" * (1 << 20))
        writer.close()

    data = os.urandom(1 << 20)
    async with listening(count) as port:
        relay.apps["echo"] = port
        async with await client.apps.open_tunnel(demo, "echo") as tunnel:
            reader, writer = await asyncio.open_connection(*tunnel.address)
            writer.write(data)
            writer.write_eof()
            assert await reader.read() == b"%d " % len(data) + b"x" * (1 << 20)
            writer.close()


async def test_an_app_that_has_finished_is_still_sent_to(
    client: Client, relay: ScriptedRelay, demo: str
) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        heard.set_result(await reader.read())
        writer.close()

    data = os.urandom(1 << 20)
    async with listening(hear) as port:
        relay.apps["echo"] = port
        async with await client.apps.open_tunnel(demo, "echo") as tunnel:
            reader, writer = await asyncio.open_connection(*tunnel.address)
            assert await reader.read() == b""
            writer.write(data)
            writer.close()
            assert await heard == data


async def test_a_terminal_types_and_shows(client: Client, relay: ScriptedRelay, demo: str) -> None:
    asked: list[bytes] = []
    views: list[dict[str, str]] = []
    async with shell(asked, views) as port:
        relay.apps["ttyd"] = port
        async with client.apps.terminal(demo, name="second", rows=10, cols=20) as terminal:
            await terminal.resize(11, 21)
            await terminal.type(b"ls\n")
            shown = aiter(terminal)
            assert await anext(shown) == b"LS\n"
            await terminal.type(b"exit\n")
            assert [data async for data in shown] == []
            assert terminal.closing.code == 1000
    assert views == [{"terminal": "second", "rows": "10", "cols": "20"}]


async def test_circuits_and_apps_are_closed(
    client: Client, manager: Manager, agent: ScriptedAgent, demo: str
) -> None:
    circuit = str(await _make_circuit(manager, agent))
    assert [one.id for one in await client.apps.circuits()] == [circuit]
    await client.apps.close_circuit(circuit)
    assert await client.apps.circuits() == ()
    await _make_circuit(manager, agent)
    assert await client.apps.close_circuits(demo) == 1
    await client.apps.stop(demo, "jupyter")
    with pytest.raises(AppNotFound):
        await client.apps.stop(demo, "nothing")
    with pytest.raises(Fault, match="No coordinator configured"):
        await client.apps.start(demo, "jupyter")


async def test_the_command_lists_and_refuses(manager: Manager, demo: str) -> None:
    listed = await run_inside(manager, "app", demo, name="alice")
    assert listed.stdout.splitlines()[1] == "echo\ttcp\t7"
    missing = await run_inside(manager, "app", demo, "nothing", name="alice")
    assert (missing.returncode, "the session has jupyter" in missing.stderr) == (6, True)
    for words in (("-b", "x"), ("-b", "70000"), ("-e", "A")):
        assert (
            await run_inside(manager, "app", demo, "echo", *words, name="alice")
        ).returncode in (
            2,
            4,
        )
    assert (await run_inside(manager, "terminal", demo, name="alice")).returncode == 2


async def test_what_ssh_needs_is_written_down(
    manager: Manager, agent: ScriptedAgent, demo: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    agent.files["id_container"] = b"the key of the session"
    shown = await run_inside(manager, "ssh-config", demo, name="alice")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"Host backendai-{demo}\n  User work\n")
    assert f" app --stdio {demo} sshd\n" in shown.stdout
    [key] = (tmp_path / ".ssh" / "backendai").iterdir()
    assert key.read_bytes() == b"the key of the session"
    assert key.stat().st_mode & 0o777 == 0o600
    bobs = await run_inside(manager, "ssh-config", demo, name="bob")
    assert bobs.returncode == 6


async def test_standard_streams_lead_to_an_app(manager: Manager, demo: str) -> None:
    environ = {**os.environ, **environ_of(manager, "alice")}
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("app", "--stdio", demo, "echo"),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hello")
    assert await process.stdout.readexactly(5) == b"hello"
    process.stdin.write(b"bye")
    assert await process.stdout.read() == b""
    assert await process.wait() == 0


async def test_the_terminal_is_opened_again_when_the_way_is_lost(
    manager: Manager, relay: ScriptedRelay, demo: str
) -> None:
    asked: list[bytes] = []
    views: list[dict[str, str]] = []
    screen = bytearray()
    async with shell(asked, views) as port:
        relay.apps["ttyd"] = port
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *("terminal", demo),
            env={**os.environ, **environ_of(manager, "alice"), "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

        def shows(text: bytes) -> Callable[[], Awaitable[bool]]:
            async def look() -> bool:
                while select.select([ours], [], [], 0)[0]:
                    screen.extend(os.read(ours, 65536))
                return text in screen

            return look

        async def is_seen(count: int) -> None:
            async def look() -> bool:
                return len(views) == count

            await until(look)

        await is_seen(1)
        await until(shows(b"\x1b[2J"))
        os.write(ours, b"first\n")
        await until(shows(b"FIRST"))
        for writer in tuple(relay.live):
            writer.transport.abort()
        await is_seen(2)
        os.write(ours, b"second\n")
        await until(shows(b"SECOND"))
        os.write(ours, b"\x1d")
        await until(shows(b"the shell runs on"))
        assert await process.wait() == 0
    os.close(ours)
