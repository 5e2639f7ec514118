"""Work inside a session: execute, complete, interrupt, logs, files, the stream and events."""

import asyncio
import io
import json
import tarfile
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.parser import BytesParser
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from multidict import CIMultiDict

from backendai.common.contracts.agent import Execute, ExecuteResult
from backendai.common.faults import AgentFailure
from backendai.common.signing import SignMethod
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]
ROUTES = [
    ("POST", "/session/{s}", {"mode": "query", "code": "1", "runId": None}),
    ("POST", "/session/{s}/interrupt", None),
    ("POST", "/session/{s}/complete", {"code": "p"}),
    ("GET", "/session/{s}/logs", None),
    ("POST", "/session/{s}/upload", None),
    ("GET", "/session/{s}/download", {"files": ["a"]}),
    ("GET", "/session/{s}/download_single?file=a", None),
    ("GET", "/session/{s}/files", {"path": "."}),
    ("GET", "/stream/session/{s}/apps", None),
    ("GET", "/stream/session/{s}/execute", None),
    ("GET", "/events/session?sessionName={s}", None),
]


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES)
async def test_strangers_are_refused(
    alice: Caller, nobody: Caller, verb: str, path: str, body: Any
) -> None:
    target = path.format(s="some-session")
    assert (await nobody.ask(verb, target, body)).status == 401
    assert (await alice.but(secret_key="wrong").ask(verb, target, body)).status == 401
    late = alice.but(shift=timedelta(minutes=-16))
    assert (await late.ask(verb, target, body)).status == 400


async def test_sessions_of_others_are_not_there(
    alice: Caller, bob: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name)
    for verb, path, body in ROUTES:
        for reference in (name, made["sessionId"]):
            answer = await bob.ask(verb, path.format(s=reference), body)
            assert (answer.status, answer.slug) == (404, "object-not-found"), path


async def test_code_runs_in_steps(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name)
    first = {"mode": "query", "code": "print(42)", "runId": None}
    result = (await alice.ask("POST", f"/session/{name}", first)).json["result"]
    assert result["status"] == "finished"
    assert result["console"] == [["stdout", "42\n"]]
    assert result["runId"]
    more = {"mode": "continue", "code": "", "runId": result["runId"]}
    again = (await alice.ask("POST", f"/session/{name}", more)).json["result"]
    assert again["runId"] == result["runId"]
    batch = {"mode": "batch", "code": "", "runId": "r1", "options": {"exec": "*", "build": None}}
    assert (await alice.ask("POST", f"/session/{name}", batch)).status == 200
    requests = agent.asked_of("execute")
    assert [request.mode for request in requests] == ["query", "continue", "batch"]
    assert requests[2].options == {"exec": "*"}

    async def counted() -> bool:
        info = (await alice.ask("GET", f"/session/{made['sessionId']}")).json
        return bool(info["numQueriesExecuted"] == 2)

    await until(counted)


@pytest.mark.parametrize(
    "body",
    [
        {"code": "x", "runId": None},
        {"mode": "shout", "runId": None},
        {"mode": "continue", "code": "", "runId": None},
        {"mode": "query", "code": 5},
        {"mode": "query", "runId": "../x"},
        {"mode": "batch", "options": {"exec": 5}},
    ],
)
async def test_odd_runs_are_refused(alice: Caller, name: str, body: Any) -> None:
    answer = await alice.ask("POST", f"/session/{name}", body)
    assert (answer.status, answer.slug) == (400, "invalid-api-params")


async def test_code_needs_a_running_session(alice: Caller, create: Create, name: str) -> None:
    await create(alice, name, enqueueOnly=True)
    body = {"mode": "query", "code": "1", "runId": None}
    answer = await alice.ask("POST", f"/session/{name}", body)
    assert answer.status == 409
    assert answer.json["data"] == {"status": "PENDING"}
    await alice.ask("DELETE", f"/session/{name}")


async def test_failures_of_the_agent_are_told_apart(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)
    body = {"mode": "query", "code": "1", "runId": None}

    async def fail(request: Execute) -> ExecuteResult:
        raise AgentFailure("the runner is broken")

    agent.execute = fail
    failed = await alice.ask("POST", f"/session/{name}", body)
    assert (failed.status, failed.slug) == (500, "kernel-execution-failed")
    assert failed.json["agent-details"]["exception"] == "the runner is broken"


async def test_logs_of_a_task_are_those_of_its_session_or_kernel(
    alice: Caller, bob: Caller, nobody: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    session_id = (await create(alice, name))["sessionId"]
    query = "query($id: UUID!) { compute_session(id: $id) { main_kernel_id } }"
    found = await alice.graph(query, id=session_id)
    for task_id in (session_id, found["data"]["compute_session"]["main_kernel_id"].upper()):
        target = f"/session/_/logs?taskId={task_id}"
        assert (await nobody.ask("GET", target)).status == 401
        assert (await alice.but(secret_key="wrong").ask("GET", target)).status == 401
        assert (await bob.ask("GET", target)).slug == "object-not-found"
        answer = await alice.ask("GET", target)
        assert (answer.status, answer.body) == (200, b"hello from the log\n")
    for wrong in ("", "?taskId=", "?taskId=some-session"):
        answer = await alice.ask("GET", f"/session/_/logs{wrong}")
        assert (answer.status, answer.slug) == (400, "invalid-api-params"), wrong


async def test_completions_interrupts_and_logs(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name)
    body = {"code": "pri", "options": {"row": 0, "col": 3, "line": "pri", "post": ""}}
    answer = await alice.ask("POST", f"/session/{name}/complete", body)
    assert answer.json == {"result": {"status": "finished", "completions": ["print"]}}
    assert (await alice.ask("POST", f"/session/{name}/interrupt")).status == 204
    assert len(agent.asked_of("interrupt")) == 1
    logs = await alice.ask("GET", f"/session/{name}/logs")
    assert logs.json["result"]["logs"] == "hello from the log\n"
    await alice.ask("DELETE", f"/session/{name}")
    ended = await alice.ask("GET", f"/session/{made['sessionId']}/logs")
    assert ended.json["result"]["logs"] == "hello from the log\n"


def form_of(files: dict[str, bytes]) -> aiohttp.MultipartWriter:
    writer = aiohttp.MultipartWriter("form-data")
    for path, data in files.items():
        headers = CIMultiDict({"Content-Type": "application/octet-stream"})
        part = writer.append(data, headers)
        part.set_content_disposition("form-data", name="src", filename=path)
    return writer


async def as_bytes(writer: aiohttp.MultipartWriter) -> bytes:
    return bytes(await writer.as_bytes())


@pytest.mark.parametrize("method", list(SignMethod))
async def test_files_go_in_and_out(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str, method: SignMethod
) -> None:
    await create(alice, name)
    big = bytes(range(256)) * 20_000
    form = form_of({"a.txt": b"hello", "dir/b.bin": big, "empty": b""})
    sent = await alice.but(method=method).ask(
        "POST",
        f"/session/{name}/upload",
        raw=await as_bytes(form),
        content_type=form.headers["Content-Type"],
    )
    assert sent.status == 204, sent.body
    assert agent.files == {"a.txt": b"hello", "dir/b.bin": big, "empty": b""}
    listed = (await alice.ask("GET", f"/session/{name}/files", {"path": "."})).json
    assert [each["filename"] for each in json.loads(listed["files"])] == list(agent.files)
    for verb in ("GET", "POST"):
        answer = await alice.ask(
            verb, f"/session/{name}/download", {"files": ["a.txt", "dir/b.bin"]}
        )
        head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + answer.body).get_payload()
        assert len(parts) == 2
    single = await alice.ask("GET", f"/session/{name}/download_single?file=dir/b.bin")
    with tarfile.open(fileobj=io.BytesIO(single.body)) as tar:
        member = tar.extractfile("dir/b.bin")
        assert member is not None
        assert member.read() == big
    missing = await alice.ask("GET", f"/session/{name}/download", {"files": ["nothere"]})
    assert (missing.status, missing.slug) == (404, "object-not-found")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "..", "/home/work/../x"])
async def test_paths_stay_below_the_home(alice: Caller, name: str, path: str) -> None:
    for verb, target, body in (
        ("GET", "files", {"path": path}),
        ("GET", "download", {"files": [path]}),
        ("GET", "download_single", {"file": path}),
    ):
        answer = await alice.ask(verb, f"/session/{name}/{target}", body)
        assert (answer.status, answer.slug) == (400, "invalid-api-params")


async def test_too_many_files_are_refused(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)
    form = form_of({f"f{index}": b"x" for index in range(21)})
    answer = await alice.ask(
        "POST",
        f"/session/{name}/upload",
        raw=await as_bytes(form),
        content_type=form.headers["Content-Type"],
    )
    assert answer.slug == "invalid-api-params"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"\xef\xbb\xbf{}"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n1\r\n--x--"),
        ("multipart/form-data; boundary=" + "x" * 80, b"--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n%s\r\n\r\ncut off"),
        ("multipart/form-data; boundary=x", b"--x\r\n%s\r\n\r\n1\r\n--y\r\n"),
    ],
)
async def test_what_is_no_form_is_told(
    alice: Caller,
    agent: ScriptedAgent,
    create: Create,
    name: str,
    content_type: str,
    body: bytes,
) -> None:
    await create(alice, name)
    head = b'Content-Disposition: form-data; name="src"; filename="a.txt"'
    answer = await alice.ask(
        "POST",
        f"/session/{name}/upload",
        raw=body.replace(b"%s", head),
        content_type=content_type,
    )
    assert answer.status == 400, answer.body
    assert b"multipart/form-data" in answer.body


async def test_a_run_is_streamed_with_its_input(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    made = await create(alice, name)
    steps = [
        ExecuteResult(run_id="r", status="continued", console=[("stdout", "name? ")]),
        ExecuteResult(run_id="r", status="waiting-input", options={"is_password": False}),
        ExecuteResult(run_id="r", status="finished", exit_code=0, console=[("stdout", "bob")]),
    ]

    async def play(request: Execute) -> ExecuteResult:
        return steps[len(agent.asked_of("execute")) - 1]

    agent.execute = play
    async with alice.socket(f"/stream/session/{made['sessionId']}/execute") as socket:
        await socket.send_json({"mode": "query", "code": "input()", "options": {}})
        assert (await socket.receive_json())["console"] == [["stdout", "name? "]]
        asked = await socket.receive_json()
        assert (asked["status"], asked["options"]) == ("waiting-input", {"is_password": False})
        assert asked["console"] == []
        await socket.send_str("bob")
        assert (await socket.receive_json())["status"] == "finished"
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    modes = [(request.mode, request.code) for request in agent.asked_of("execute")]
    assert modes == [("query", "input()"), ("continue", ""), ("input", "bob")]
    assert {request.flush_seconds for request in agent.asked_of("execute")} == {0.2}
    assert agent.asked_of("interrupt") == []


async def test_a_client_that_does_not_read_holds_its_run_up(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    """Nothing is fetched for it beyond what the connection itself holds."""
    await create(alice, name)
    part, parts_max = "x" * 1024 * 1024, 100

    async def print_much(request: Execute) -> ExecuteResult:
        asked = len(agent.asked_of("execute"))
        status = "continued" if asked < parts_max else "finished"
        return ExecuteResult(run_id="r", status=status, console=[("stdout", part)])

    agent.execute = print_much
    counts = [0]

    async def is_held_up() -> bool:
        counts.append(len(agent.asked_of("execute")))
        return counts[-1] > 0 and len(counts) > 25 and len(set(counts[-25:])) == 1

    async with alice.socket(f"/stream/session/{name}/execute") as socket:
        await socket.send_json({"mode": "query", "code": "print(...)"})
        await until(is_held_up)
        assert counts[-1] < parts_max / 2
        printed = 0
        async for message in socket:
            printed += len(message.json()["console"][0][1])
        assert printed == parts_max * len(part)


async def test_a_client_that_goes_away_interrupts_its_run(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)

    async def go_on(request: Execute) -> ExecuteResult:
        await asyncio.sleep(0.05)
        return ExecuteResult(run_id="r", status="continued")

    agent.execute = go_on
    async with alice.socket(f"/stream/session/{name}/execute") as socket:
        await socket.send_json({"mode": "query", "code": "while True: pass"})
        await socket.receive_json()

    async def interrupted() -> bool:
        return len(agent.asked_of("interrupt")) == 1

    await until(interrupted)


async def test_a_run_of_somebody_who_may_not_come_any_more_is_cut_off(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str, manager: Manager
) -> None:
    await create(alice, name)

    async def go_on(request: Execute) -> ExecuteResult:
        await asyncio.sleep(0.05)
        return ExecuteResult(run_id="r", status="continued")

    async def let_in(is_active: bool) -> None:
        words = "update keypairs set is_active = :is_active where access_key = 'AKALICE'"
        async with manager.stores.database.begin() as connection:
            await connection.execute(sa.text(words), {"is_active": is_active})

    agent.execute = go_on
    async with alice.socket(f"/stream/session/{name}/execute") as socket:
        await socket.send_json({"mode": "query", "code": "while True: pass"})
        await socket.receive_json()
        await let_in(False)
        try:
            async with asyncio.timeout(10):
                async for message in socket:
                    assert message.json()["status"] == "continued"
            assert socket.close_code == 1008
        finally:
            await let_in(True)

    async def interrupted() -> bool:
        return len(agent.asked_of("interrupt")) == 1

    await until(interrupted)


async def test_an_odd_first_message_is_answered_and_closed(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, name)
    for text in ("[", "[]", '{"mode": "x"}'):
        async with alice.socket(f"/stream/session/{name}/execute") as socket:
            await socket.send_str(text)
            assert (await socket.receive_json())["status"] == "error"


async def read_events(response: aiohttp.ClientResponse, last: str) -> list[tuple[str, Any, int]]:
    """Events until one named `last`: (name, data, id). Every line has a colon."""
    events: list[tuple[str, Any, int]] = []
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\r\n")
        if line:
            assert ":" in line
            key, _, value = line.partition(":")
            fields[key] = value.strip()
        elif "event" in fields:
            events.append((fields["event"], json.loads(fields["data"]), int(fields.get("id", 0))))
            if fields["event"] == last:
                return events
            fields = {}
    return events


async def test_events_follow_a_session_to_its_end(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    agent.holds = True
    made = await create(alice, name, enqueueOnly=True)
    path = f"/events/session?sessionName={name}&owner_access_key=AKALICE&scope=*"
    async with asyncio.timeout(30), alice.stream(path) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        agent.release()
        started = await read_events(response, "session_started")
        await alice.ask("DELETE", f"/session/{name}?forced=true")
        ended = await read_events(response, "server_close")
    names = [each[0] for each in ended]
    assert names[-2:] == ["session_terminated", "server_close"]
    data = ended[-2][1]
    assert data["sessionId"] == made["sessionId"]
    assert data["ownerAccessKey"] == "AKALICE"
    assert {"reason", "sessionName", "exitCode"} <= data.keys()
    after = started[-1][2]
    async with (
        asyncio.timeout(10),
        alice.stream(
            f"/events/session?sessionId={made['sessionId']}&scope=session",
            **{"Last-Event-ID": str(after)},
        ) as response,
    ):
        rest = await read_events(response, "server_close")
    assert [each[0] for each in rest] == [n for n in names if not n.startswith("kernel_")]


async def test_an_event_that_is_being_written_is_not_passed_over(
    alice: Caller, create: Create, name: str, manager: Manager
) -> None:
    session_id = uuid.UUID((await create(alice, name, enqueueOnly=True))["sessionId"])
    insert = sa.text(
        "insert into outbox (session_id, name, relayed_at) values (:id, 'session_started', now())"
        " returning id"
    )
    async with manager.stores.database.engine.connect() as slow:
        written = (await slow.execute(insert, {"id": session_id})).scalar_one()
        async with manager.stores.database.begin() as fast:
            await fast.execute(insert, {"id": uuid.uuid4()})
        start = await manager.services.feed.last_id(session_id)
        await slow.rollback()
    assert start < written


async def test_odd_event_requests_are_refused(alice: Caller) -> None:
    for query in ("", "?scope=all&sessionName=x", "?sessionId=x&color=red"):
        assert (await alice.ask("GET", f"/events/session{query}")).status == 400
