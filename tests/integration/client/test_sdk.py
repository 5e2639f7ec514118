"""The SDK against a real HTTP server with the answers of the protocol."""

import asyncio
import io
import json
import tarfile
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import MultipartWriter, web

from backendai.client import Batch, Client, Config, SyncClient
from backendai.client.faults import ExecutionBroken, Unreachable, WaitedTooLong
from backendai.client.plain import PlainTransport
from backendai.client.results import IdleCheck, NewSession, Prompt
from backendai.client.transport import Transport
from backendai.client.web import WebTransport
from backendai.common.faults import (
    AuthFailed,
    Fault,
    FileNotFound,
    GraphQLFault,
    InvalidAuthParams,
    QuotaExceeded,
    SessionAlreadyExists,
    SessionNotFound,
)
from tests.integration.client.scripted import (
    ACCESS_KEY,
    SESSION_ID,
    ScriptedServer,
    created,
    row,
    script_graph,
)

NEW = NewSession(image="local/python:1", name="demo")


def open_as(server: ScriptedServer, access_key: str, secret_key: str) -> Client:
    config = Config.from_environment(server.environ)
    return Client(replace(config, access_key=access_key, secret_key=secret_key))


async def test_no_credential(server: ScriptedServer) -> None:
    async with open_as(server, "", "") as client:
        with pytest.raises(InvalidAuthParams):
            await client.sessions.info("demo")


async def test_wrong_credential(server: ScriptedServer) -> None:
    async with open_as(server, ACCESS_KEY, "another") as client:
        with pytest.raises(AuthFailed, match="Signature mismatch"):
            await client.sessions.info("demo")


async def test_someone_elses_session_is_not_found(server: ScriptedServer, client: Client) -> None:
    server.on("GET", "/session/theirs", SessionNotFound())
    with pytest.raises(SessionNotFound):
        await client.sessions.info("theirs")


@pytest.fixture(params=[WebTransport, PlainTransport])
async def transport(request: pytest.FixtureRequest, server: ScriptedServer) -> Transport:
    made: Transport = request.param(Config.from_environment(server.environ))
    return made


async def test_both_transports_answer_and_refuse_alike(
    server: ScriptedServer, transport: Transport
) -> None:
    server.on("GET", "/session/%C3%BC%2F%20b", SessionNotFound())
    async with Client(Config.from_environment(server.environ), transport) as client:
        assert (await client.system.hello()).version == "v7.20230615"
        with pytest.raises(SessionNotFound):
            await client.sessions.info("ü/ b")


async def test_both_transports_name_an_address_where_nothing_listens(
    server: ScriptedServer, transport: Transport, unused_tcp_port: int
) -> None:
    config = replace(
        Config.from_environment(server.environ), endpoints=(f"http://127.0.0.1:{unused_tcp_port}",)
    )
    async with Client(config, transport) as client:
        with pytest.raises(Unreachable, match=str(unused_tcp_port)):
            await client.system.hello()


async def test_both_transports_give_up_in_time(
    server: ScriptedServer, transport: Transport
) -> None:
    released = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    server.on("GET", "/", wait)
    config = replace(Config.from_environment(server.environ), request_seconds=0.2)
    async with Client(config, transport) as client:
        with pytest.raises(WaitedTooLong):
            await client.system.hello()
    released.set()


async def test_both_transports_let_go_when_cancelled(
    server: ScriptedServer, transport: Transport
) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        arrived.set()
        await released.wait()
        return web.json_response(created(), status=201)

    server.on("POST", "/session", wait)
    async with Client(Config.from_environment(server.environ), transport) as client:
        work = asyncio.ensure_future(client.sessions.create(NEW))
        await arrived.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(work, 5)
    released.set()


async def test_create_says_everything_in_the_words_of_the_wire(
    server: ScriptedServer, client: Client
) -> None:
    new = NewSession(
        image="local/python:1",
        name="demo",
        type="batch",
        resources={"cpu": "1", "mem": "1g"},
        shared_memory="64m",
        environ={"A": "B"},
        mounts={"data": None, "more": "/home/work/m"},
        mount_permissions={"more": "ro"},
        startup_command="echo 1",
        bootstrap_script="echo boot",
        starts_at="1h",
        dependencies=["first"],
        cluster_size=2,
        resource_group="default",
        tag="t",
        enqueue_only=True,
        max_wait_seconds=10,
    )
    found = await client.sessions.create(new)
    assert (found.session_id, found.status, found.created) == (SESSION_ID, "RUNNING", True)
    body = json.loads(server.seen[0].body)
    assert body["config"] == {
        "mounts": ["data", "more"],
        "mount_map": {"more": "/home/work/m"},
        "mount_options": {"more": {"type": "bind", "permission": "ro"}},
        "environ": {"A": "B"},
        "resources": {"cpu": "1", "mem": "1g"},
        "resource_opts": {"shmem": "64m"},
        "scalingGroup": "default",
        "preopen_ports": None,
    }
    expected = {
        "type": "batch",
        "startupCommand": "echo 1",
        "bootstrap_script": "echo boot",
        "starts_at": "1h",
        "dependencies": ["first"],
        "clusterSize": 2,
        "clusterMode": "single-node",
        "enqueueOnly": True,
        "maxWaitSeconds": 10,
        "reuseIfExists": False,
        "domain": "default",
        "group": "default",
    }
    assert {name: body[name] for name in expected} == expected


async def test_a_create_whose_answer_was_lost_is_repeated_with_the_same_token(
    server: ScriptedServer, client: Client
) -> None:
    async def lose(request: web.Request) -> web.Response:
        server.on("POST", "/session", created())
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    server.on("POST", "/session", lose)
    assert (await client.sessions.create(NEW)).status == "RUNNING"
    tokens = [seen.headers["X-BackendAI-Client-Token"] for seen in server.seen]
    assert len(tokens) == 2
    assert tokens[0] == tokens[1] != ""


@pytest.mark.parametrize(
    "fault", [SessionAlreadyExists(facts={"existingSessionId": "x"}), QuotaExceeded("cpu")]
)
async def test_a_refused_create_raises_the_servers_fault(
    server: ScriptedServer, client: Client, fault: Fault
) -> None:
    server.on("POST", "/session", fault)
    with pytest.raises(type(fault)):
        await client.sessions.create(NEW)


async def test_listing_pages_and_filters(server: ScriptedServer, client: Client) -> None:
    script_graph(server, [row(f"name-{number}") for number in range(5)])
    page = await client.sessions.list(limit=2, offset=4, filter='name == "a"')
    assert [item.name for item in page.items] == ["name-4"]
    assert page.total_count == 5
    asked = json.loads(server.seen[0].body)["variables"]
    assert asked["filter"] == 'name == "a"'
    assert "TERMINATED" not in asked["status"]


async def test_graphql_errors_are_faults(server: ScriptedServer, client: Client) -> None:
    server.on("POST", "/admin/gql", {"data": None, "errors": [{"message": "bad filter"}]})
    with pytest.raises(GraphQLFault, match="bad filter"):
        await client.sessions.list()


async def test_the_default_image_has_python(server: ScriptedServer, client: Client) -> None:
    image = await client.images.find_default()
    assert image is not None
    assert image.reference == "local/python:1"


async def test_changes_are_asked_for_as_the_protocol_has_them(
    server: ScriptedServer, client: Client
) -> None:
    for method, path in [
        ("PATCH", "/session/demo"),
        ("POST", "/session/demo/rename"),
        ("POST", "/session/demo/interrupt"),
    ]:
        server.on(method, path, None)
    check = {"remaining": 600, "remaining_time_type": "expire_after", "extra": None}
    server.on("POST", "/session/demo/extend", {"idleChecks": {"network_timeout": check}})
    await client.sessions.restart("demo")
    await client.sessions.rename("demo", "trial one")
    await client.sessions.interrupt("demo")
    extended = await client.sessions.extend("demo")
    assert extended == {"network_timeout": IdleCheck(remaining=600)}
    await client.sessions.destroy("demo", forced=True, recursive=True)
    assert server.targets() == [
        "PATCH /session/demo",
        "POST /session/demo/rename?name=trial+one",
        "POST /session/demo/interrupt",
        "POST /session/demo/extend",
        "DELETE /session/demo?forced=true&recursive=true",
    ]


async def test_what_is_known_of_a_session(server: ScriptedServer, client: Client) -> None:
    move = {"at": "2026-11-21T00:00:00+00:00", "kernel_id": "k", "from": None, "to": "PENDING"}
    server.on("GET", "/session/demo/logs", {"result": {"logs": "printed\n"}})
    server.on("GET", "/session/demo/status-history", {"history": [move]})
    server.on(
        "GET",
        "/session/demo/why",
        {"status": "PENDING", "waiting": {"rule": "room"}, "text": "No room."},
    )
    server.on("POST", "/session/demo/complete", {"result": {"completions": ["print", "property"]}})
    assert (await client.sessions.info("demo")).facts["age"] == 5
    assert await client.sessions.logs("demo") == "printed\n"
    assert [
        (step.from_status, step.to_status) for step in await client.sessions.history("demo")
    ] == [(None, "PENDING")]
    assert (await client.sessions.why("demo")).text == "No room."
    assert await client.sessions.complete("demo", "pr", 0, 2) == ("print", "property")


async def test_code_runs_and_its_output_streams(client: Client) -> None:
    statuses = [step.status async for step in client.sessions.execute("demo", "print(1)")]
    assert statuses == ["continued", "finished"]
    result = await client.sessions.run_code("demo", "fail")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "fail\n", "failed\n")


async def test_commands_run_as_a_batch(client: Client) -> None:
    assert (await client.sessions.run_code("demo", batch=Batch(exec="ls -l"))).stdout == "ls -l\n"


async def test_prompts_are_answered_by_functions_of_both_kinds(client: Client) -> None:
    prompts: list[Prompt] = []

    def answer(prompt: Prompt) -> str:
        prompts.append(prompt)
        return "typed"

    async def answer_later(prompt: Prompt) -> str:
        await asyncio.sleep(0)
        return "later"

    sessions = client.sessions
    assert "<typed>" in (await sessions.run_code("demo", "input()", on_input=answer)).stdout
    assert "<later>" in (await sessions.run_code("demo", "input()", on_input=answer_later)).stdout
    assert "<>" in (await sessions.run_code("demo", "input()")).stdout
    assert prompts == [Prompt(is_password=False)]


async def test_a_refused_execution_tells_why_though_an_upgrade_cannot(
    server: ScriptedServer, client: Client
) -> None:
    server.on("GET", "/stream/session/gone/execute", SessionNotFound())
    server.on("GET", "/session/gone", SessionNotFound("It ended."))
    with pytest.raises(SessionNotFound, match="It ended"):
        await client.sessions.run_code("gone", "1")


@pytest.mark.parametrize("last", [{"status": "error", "msg": "no runner"}, None])
async def test_an_execution_without_an_end_is_a_fault(
    server: ScriptedServer, client: Client, last: dict[str, str] | None
) -> None:
    async def breaks(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_str()
        if last is not None:
            await socket.send_json(last)
        await socket.close()
        return socket

    server.on("GET", "/stream/session/demo/execute", breaks)
    with pytest.raises(ExecutionBroken):
        await client.sessions.run_code("demo", "1")


async def test_events_go_on_through_a_reconnection(server: ScriptedServer, client: Client) -> None:
    names = iter(["session_started", "session_terminated"])

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        data = json.dumps({"sessionName": "demo", "reason": "r"})
        await response.write(
            f": hello\nretry: 0\nid: 7\nevent: {next(names)}\ndata: {data}\n\n".encode()
        )
        return response

    server.on("GET", "/events/session", stream)
    found = []
    async with aclosing(client.sessions.events("demo")) as events:
        async for event in events:
            found.append((event.name, event.session_name))
            if event.name == "session_terminated":
                break
    assert found == [("session_started", "demo"), ("session_terminated", "demo")]
    assert server.targets() == ["GET /events/session?sessionName=demo&scope=%2A"] * 2
    assert [seen.headers.get("Last-Event-ID") for seen in server.seen] == [None, "7"]


async def test_events_of_an_unknown_session_are_refused(
    server: ScriptedServer, client: Client
) -> None:
    server.on("GET", "/events/session", SessionNotFound())
    with pytest.raises(SessionNotFound):
        await anext(client.sessions.events(SESSION_ID))
    assert server.targets() == [f"GET /events/session?sessionId={SESSION_ID}&scope=%2A"]


async def test_files_go_up_under_their_names(
    server: ScriptedServer, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/ü.bin").write_bytes(b"\r\n--\x00")
    (tmp_path / "main.py").write_text("print(1)")
    received: dict[str | None, bytes] = {}

    async def receive(request: web.Request) -> web.Response:
        form = await request.post()
        for part in form.getall("src"):
            assert isinstance(part, web.FileField)
            received[part.filename] = part.file.read()
        return web.Response(status=204)

    server.on("POST", "/session/demo/upload", receive)
    files = [tmp_path / "main.py", tmp_path / "data/ü.bin"]
    await client.sessions.upload("demo", files, base=tmp_path)
    assert received == {"main.py": b"print(1)", "data/ü.bin": b"\r\n--\x00"}


async def test_files_come_down(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    async def send(request: web.Request) -> web.StreamResponse:
        assert await request.json() == {"files": ["a.txt"]}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo("a.txt")
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
        with MultipartWriter("mixed") as writer:
            writer.append(packed.getvalue())
        return web.Response(body=writer)

    server.on("GET", "/session/demo/download", send)
    (written,) = await client.sessions.download("demo", ["a.txt"], destination=tmp_path / "out")
    assert written.read_bytes() == b"abc"


async def test_files_are_listed_and_a_missing_folder_is_a_fault(
    server: ScriptedServer, client: Client
) -> None:
    entry = {"filename": "a", "size": 3, "mode": "-rw-r--r--", "mtime": 1.5, "ctime": 1, "atime": 1}
    server.on("GET", "/session/demo/files", {"files": json.dumps([entry]), "errors": ""})
    (found,) = await client.sessions.list_files("demo")
    assert (found.filename, found.size, found.mtime) == ("a", 3, 1.5)
    server.on("GET", "/session/demo/files", {"files": "", "errors": "no such folder"})
    with pytest.raises(FileNotFound, match="no such folder"):
        await client.sessions.list_files("demo", "nosuch")


async def test_the_signature_that_covers_the_body_is_accepted(server: ScriptedServer) -> None:
    config = replace(Config.from_environment(server.environ), signs_body=True)
    async with Client(config) as client:
        assert (await client.sessions.create(NEW)).status == "RUNNING"


async def test_sync_code_does_the_same(server: ScriptedServer) -> None:
    def work() -> tuple[str, str, list[str]]:
        with SyncClient(Config.from_environment(server.environ)) as client:
            status = client.sessions.create(NEW).status
            out = client.sessions.run_code("demo", "input()", on_input=lambda prompt: "x").stdout
            steps = [step.status for step in client.sessions.execute("demo", "print(1)")]
            with pytest.raises(SessionNotFound):
                client.sessions.info("gone")
            next(client.sessions.execute("demo", "input()"))
        return status, out, steps

    server.on("GET", "/session/gone", SessionNotFound())
    status, out, steps = await asyncio.to_thread(work)
    assert (status, steps) == ("RUNNING", ["continued", "finished"])
    assert "<x>" in out
