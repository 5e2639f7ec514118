"""The `backendai` command as people start it: output, exit codes, what is asked of the API."""

import asyncio
import json
import os
import pty
import re
import signal
from pathlib import Path

import pytest
from aiohttp import web

from backendai.common.faults import (
    Conflict,
    QuotaExceeded,
    SessionAlreadyExists,
    SessionNotFound,
    Unavailable,
)
from tests.integration.client.conftest import PROGRAM, Command
from tests.integration.client.scripted import (
    SESSION_ID,
    ScriptedServer,
    created,
    row,
    script_graph,
)

WHY = {"status": "PENDING", "text": "No agent has 64 free cores.", "waiting": None}


async def test_no_credential_says_what_to_load(command: Command) -> None:
    done = await command("ps", environ={})
    assert done.code == 4
    assert ". .bai/env-user.sh" in done.err
    assert "Traceback" not in done.err


async def test_wrong_credential(server: ScriptedServer, command: Command) -> None:
    done = await command("ps", environ={**server.environ, "BACKEND_SECRET_KEY": "another"})
    assert done.code == 5
    assert "Signature mismatch" in done.err


async def test_someone_elses_session(server: ScriptedServer, command: Command) -> None:
    server.on("GET", "/session/theirs", SessionNotFound())
    done = await command("session", "info", "theirs")
    assert done.code == 6
    assert "No such session." in done.err


async def test_where_nothing_listens_the_next_step_is_named(
    server: ScriptedServer, command: Command, unused_tcp_port: int
) -> None:
    address = f"http://127.0.0.1:{unused_tcp_port}"
    done = await command("ps", environ={**server.environ, "BACKEND_ENDPOINT": address})
    assert done.code == 8
    assert address in done.err
    assert "Connection refused" in done.err
    assert "./bai status" in done.err


async def test_ps_is_plain_when_nobody_looks(command: Command) -> None:
    done = await command("ps")
    assert done.code == 0
    head, line = done.out.splitlines()
    assert head.split() == ["NAME", "IMAGE", "TYPE", "STATUS", "AGE", "SLOTS"]
    assert line.split()[:4] == ["demo", "local/python:3.11", "INTERACTIVE", "RUNNING"]
    assert line.endswith("cpu 1, mem 1g")
    assert max(len(head), len(line)) <= 80
    assert "\x1b" not in done.out
    done = await command("ps", "--output", "json")
    (facts,) = json.loads(done.out)
    assert (facts["id"], facts["created_at"]) == (SESSION_ID, "2026-11-21T19:29:30+00:00")


async def test_ps_tells_in_a_narrow_column_why_sessions_wait(
    server: ScriptedServer, command: Command
) -> None:
    waiting = {"rule": "room", "causes": {"not-enough-cpu": 2}}
    pending = row("a", status="PENDING", status_data=json.dumps({"scheduler": waiting}))
    script_graph(server, [pending, row("b")])
    done = await command("ps", "--why")
    head, *lines = done.out.splitlines()
    assert head.split() == ["NAME", "IMAGE", "STATUS", "AGE", "WHY"]
    assert [line.endswith("room: not-enough-cpu 2") for line in lines] == [True, False]
    done = await command("ps", "--format", "name,why", "--output", "csv")
    assert done.out.splitlines()[1] == "a,room: not-enough-cpu 2"


@pytest.mark.parametrize(
    ("more", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
async def test_ps_fits_a_terminal_and_has_colours_where_they_are_wanted(
    server: ScriptedServer, more: dict[str, str], is_coloured: bool
) -> None:
    script_graph(server, [row("a-name-that-is-rather-long-for-a-table", image="i" * 64)])
    environ = {**server.environ, "TERM": "xterm", "COLUMNS": "60", **more}
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(PROGRAM, "ps", stdout=theirs, env=environ)
    os.close(theirs)
    assert await process.wait() == 0
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert ("\x1b[32mRUNNING" in text) is is_coloured
    plain = re.sub(r"\x1b\[\d+m", "", text)
    assert "RUNNING" in plain
    if environ["TERM"] == "xterm":
        assert max(map(len, plain.splitlines())) <= 60


async def test_ps_turns_pages(server: ScriptedServer, command: Command) -> None:
    script_graph(server, [row(f"name-{number}") for number in range(120)])
    done = await command("ps", "--format", "name", "--output", "csv")
    assert done.out.splitlines() == ["name", *(f"name-{number}" for number in range(120))]
    assert len(server.seen) == 2


async def test_ps_chooses_among_live_and_ended(server: ScriptedServer, command: Command) -> None:
    script_graph(server, [])
    done = await command("ps", "--dead")
    assert (done.code, done.out) == (0, "")
    assert "No sessions." in done.err
    done = await command("session", "list", "--all", "--output", "json")
    assert json.loads(done.out) == []
    dead, everything = (json.loads(seen.body)["variables"]["status"] for seen in server.seen)
    assert dead == "TERMINATED,CANCELLED"
    assert {"RUNNING", "TERMINATED"} <= set(everything.split(","))


async def test_an_unknown_column_is_wrong_usage(command: Command) -> None:
    done = await command("ps", "--format", "name,colour")
    assert done.code == 2
    assert "colour" in done.err
    assert "status_info" in done.err


async def test_create_takes_a_default_image_and_says_what_runs(
    server: ScriptedServer, command: Command
) -> None:
    done = await command("session", "create", "--name", "demo", "-r", "cpu=1", "-e", "A=B=C")
    assert (done.code, done.out) == (0, f"demo {SESSION_ID} RUNNING\n")
    body = json.loads(server.seen[-1].body)
    assert body["image"] == "local/python:1"
    assert body["config"]["resources"] == {"cpu": "1"}
    assert body["config"]["environ"] == {"A": "B=C"}


async def test_create_says_where_images_come_from_when_there_is_none(
    server: ScriptedServer, command: Command
) -> None:
    server.on("POST", "/admin/gql", {"data": {"images": []}})
    done = await command("session", "create")
    assert done.code == 4
    assert "`docker pull` one on a node, or add a registry" in done.err


async def test_create_takes_the_image_of_the_environment(
    server: ScriptedServer, command: Command
) -> None:
    environ = {**server.environ, "BACKENDAI_IMAGE": "mine:1"}
    done = await command("session", "create", "--output", "json", environ=environ)
    assert json.loads(done.out)["sessionId"] == SESSION_ID
    assert json.loads(server.seen[0].body)["image"] == "mine:1"


async def test_create_of_a_batch_session_with_everything(
    server: ScriptedServer, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "boot.sh").write_text("echo boot\n")
    words = (
        "session create --image x:1 --type batch --startup-command true --depends a --depends b"
        " --cluster-size 2 --bootstrap-script boot.sh --enqueue-only --max-wait 5m --shmem 64m"
    )
    assert (await command(*words.split())).code == 0
    body = json.loads(server.seen[0].body)
    assert (body["type"], body["startupCommand"]) == ("batch", "true")
    assert body["dependencies"] == ["a", "b"]
    assert (body["clusterSize"], body["maxWaitSeconds"]) == (2, 300)
    assert (body["bootstrap_script"], body["enqueueOnly"]) == ("echo boot\n", True)
    assert body["config"]["resource_opts"] == {"shmem": "64m"}


@pytest.mark.parametrize(
    "words", ["--type batch", "-r mem=lots", "-e A", "--max-wait soon", "--bootstrap-script nosuch"]
)
async def test_wrong_usage_asks_nothing(
    server: ScriptedServer, command: Command, words: str
) -> None:
    done = await command("session", "create", "--image", "x:1", *words.split())
    assert done.code == 2
    assert server.seen == []


async def test_a_session_that_still_waits_exits_with_3_and_says_why(
    server: ScriptedServer, command: Command
) -> None:
    server.on("POST", "/session", created("TIMEOUT"))
    server.on("GET", f"/session/{SESSION_ID}/why", WHY)
    done = await command("session", "create", "--image", "x:1", "--max-wait", "1s")
    assert done.code == 3
    assert "demo waits: No agent has 64 free cores" in done.err


async def test_a_session_that_failed_exits_with_1_and_says_why(
    server: ScriptedServer, command: Command
) -> None:
    server.on("POST", "/session", created("ERROR"))
    server.on("GET", f"/session/{SESSION_ID}/why", {**WHY, "text": "The image has no shell."})
    done = await command("session", "create", "--image", "x:1")
    assert done.code == 1
    assert "The image has no shell." in done.err


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (SessionAlreadyExists(facts={"existingSessionId": "abc"}), 7, "--reuse"),
        (QuotaExceeded("cpu: 9 of 4"), 7, "cpu: 9 of 4"),
        (Unavailable("The store is away."), 8, "The store is away."),
    ],
)
async def test_refusals_have_their_exit_codes(
    server: ScriptedServer, command: Command, fault: QuotaExceeded, code: int, said: str
) -> None:
    server.on("POST", "/session", fault)
    done = await command("session", "create", "--image", "x:1")
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


async def test_exec_streams_and_exits_as_the_code_does(command: Command) -> None:
    done = await command("session", "exec", "demo", "-c", "print(1)", "-c", "fail", "-c", "never")
    assert (done.code, done.out, done.err) == (3, "print(1)\nfail\n", "failed\n")


async def test_exec_runs_a_command_after_dashes(command: Command) -> None:
    done = await command("session", "exec", "demo", "--", "sh", "-c", "echo hi; ls -l")
    assert (done.code, done.out) == (0, "sh -c 'echo hi; ls -l'\n")


async def test_exec_answers_prompts_from_stdin_line_by_line(command: Command) -> None:
    words = ("session", "exec", "demo", "-c", "input()", "-c", "input()")
    done = await command(*words, stdin="one\ntwo\n")
    assert done.out == "input()\n<one>\ninput()\n<two>\n"
    assert "<>" in (await command("session", "exec", "demo", "-c", "input()")).out


@pytest.mark.parametrize("words", ["", "-c 1 -- ls"])
async def test_exec_wants_either_code_or_a_command(command: Command, words: str) -> None:
    assert (await command("session", "exec", "demo", *words.split())).code == 2


async def test_exec_runs_what_stdin_has(command: Command) -> None:
    done = await command("session", "exec", "demo", stdin="x = 1\nprint(x)\n")
    assert (done.code, done.out) == (0, "x = 1\nprint(x)\n\n")


async def test_exec_in_a_session_that_waits_names_the_next_step(
    server: ScriptedServer, command: Command
) -> None:
    server.on("GET", "/stream/session/late/execute", Conflict("It must be RUNNING."))
    server.on("GET", "/session/late", {"status": "PENDING", "image": "x"})
    done = await command("session", "exec", "late", "-c", "1")
    assert done.code == 7
    assert "It is PENDING" in done.err
    assert "backendai session why late" in done.err


async def test_exec_in_an_unknown_session(server: ScriptedServer, command: Command) -> None:
    server.on("GET", "/stream/session/gone/execute", SessionNotFound())
    server.on("GET", "/session/gone", SessionNotFound())
    done = await command("session", "exec", "gone", "-c", "1")
    assert done.code == 6
    assert done.err.startswith("error: No such session.\n  See which there are: backendai ps")


async def test_a_second_interruption_leaves_the_code_alone(server: ScriptedServer) -> None:
    interrupts: asyncio.Queue[bool] = asyncio.Queue()

    async def interrupt(request: web.Request) -> web.Response:
        interrupts.put_nowait(True)
        return web.Response(status=204)

    async def run_for_ever(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_str()
        await socket.send_json({"status": "continued", "console": [["stdout", "begun\n"]]})
        await socket.receive()
        return socket

    server.on("POST", "/session/demo/interrupt", interrupt)
    server.on("GET", "/stream/session/demo/execute", run_for_ever)
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("session", "exec", "demo", "-c", "while True: pass"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=server.environ,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"begun\n"
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(interrupts.get(), 20)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err) == (130, b"")


async def test_an_interruption_stops_the_code_and_shows_its_end(
    server: ScriptedServer,
) -> None:
    interrupted = asyncio.Event()

    async def interrupt(request: web.Request) -> web.Response:
        interrupted.set()
        return web.Response(status=204)

    async def run_for_long(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_str()
        await socket.send_json({"status": "continued", "console": [["stdout", "begun\n"]]})
        await interrupted.wait()
        console = [["stderr", "KeyboardInterrupt\n"]]
        await socket.send_json({"status": "finished", "console": console, "exitCode": 1})
        await socket.close()
        return socket

    server.on("POST", "/session/demo/interrupt", interrupt)
    server.on("GET", "/stream/session/demo/execute", run_for_long)
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("session", "exec", "demo", "-c", "while True: pass"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=server.environ,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"begun\n"
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err) == (1, b"KeyboardInterrupt\n")


async def test_run_gives_the_session_back(server: ScriptedServer, command: Command) -> None:
    done = await command("run", "-c", "x = 40", "-c", "print(x + 2)")
    assert (done.code, done.out) == (0, "x = 40\nprint(x + 2)\n")
    assert server.targets()[-1] == f"DELETE /session/{SESSION_ID}?forced=true"


async def test_run_exits_as_the_code_does_and_still_gives_back(
    server: ScriptedServer, command: Command
) -> None:
    done = await command("run", "--image", "busybox:1", "--", "sh", "-c", "fail")
    assert (done.code, done.err) == (3, "failed\n")
    assert server.targets()[-1].startswith("DELETE ")


async def test_run_keeps_when_told_and_never_ends_what_it_did_not_start(
    server: ScriptedServer, command: Command
) -> None:
    done = await command("run", "--keep", "--name", "demo", "-c", "1")
    assert "backendai session terminate demo" in done.err
    server.on("POST", "/session", SessionAlreadyExists(facts={"existingSessionId": "abc"}))
    assert (await command("run", "--name", "demo", "-c", "1")).code == 7
    assert not [target for target in server.targets() if target.startswith("DELETE")]


async def test_run_uploads_files_and_builds(
    server: ScriptedServer, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "main.c").write_text("int main() {}")
    done = await command(
        "run", "--image", "gcc:1", "main.c", "--build", "gcc main.c", "--exec", "./a.out"
    )
    assert (done.code, done.out) == (0, "./a.out\n")
    assert f"POST /session/{SESSION_ID}/upload" in server.targets()


async def test_run_of_a_lone_script(command: Command, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('script')")
    assert (await command("run", "main.py")).out == "print('script')\n"
    (tmp_path / "main.c").write_text("")
    done = await command("run", "main.c")
    assert done.code == 2
    assert "--exec" in done.err


async def test_run_gives_back_when_interrupted_while_it_waits(
    server: ScriptedServer, command: Command
) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def wait(request: web.Request) -> web.Response:
        server.on("DELETE", f"/session/{(await request.json())['name']}", end)
        arrived.set()
        await released.wait()
        return web.json_response(created(), status=201)

    async def end(request: web.Request) -> web.Response:
        ended.append(request.path)
        return web.json_response({"stats": {}})

    server.on("POST", "/session", wait)
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "run", "--image", "x:1", "-c", "1", env=server.environ
    )
    await asyncio.wait_for(arrived.wait(), 20)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 20) == 130
    released.set()
    assert len(ended) == 1


async def test_terminate_tries_all_and_exits_as_the_first_that_failed(
    server: ScriptedServer, command: Command
) -> None:
    server.on("DELETE", "/session/gone", SessionNotFound())
    done = await command("session", "terminate", "gone", "demo", "--recursive")
    assert (done.code, done.out) == (6, "demo\n")
    assert "No such session." in done.err


async def test_changes_say_nothing_when_they_went_well(
    server: ScriptedServer, command: Command
) -> None:
    server.on("PATCH", "/session/demo", None)
    server.on("POST", "/session/demo/rename", None)
    for words in ("session restart demo", "session rename demo trial"):
        done = await command(*words.split())
        assert (done.code, done.out, done.err) == (0, "", "")


async def test_an_extension_shows_what_remains(server: ScriptedServer, command: Command) -> None:
    check = {"remaining": 590, "remaining_time_type": "expire_after", "extra": None}
    server.on("POST", "/session/demo/extend", {"idleChecks": {"network_timeout": check}})
    done = await command("session", "extend", "demo")
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == ["idle", "ends", "in", "9m", "50s", "(network_timeout)"]


async def test_what_is_known_is_shown(server: ScriptedServer, command: Command) -> None:
    move = {"at": "2026-11-21T00:00:00+00:00", "kernel_id": "k1", "from": None, "to": "PENDING"}
    both = [{**move, "event": "enqueue"}, {**move, "kernel_id": None, "event": "enqueue"}]
    server.on("GET", "/session/demo/why", WHY)
    server.on("GET", "/session/demo/status-history", {"history": both})
    server.on("GET", "/session/demo/logs", {"result": {"logs": "a\nb"}})
    assert "status   RUNNING\n" in (await command("session", "info", "demo")).out
    info = await command("session", "info", "demo", "--output", "json")
    assert json.loads(info.out) == {"status": "RUNNING", "image": "local/python:1", "age": 5}
    why = (await command("session", "why", "demo")).out.splitlines()
    assert why[0] == "PENDING: No agent has 64 free cores."
    assert why[1].startswith("  since  ")
    why_facts = json.loads((await command("session", "why", "demo", "--output", "json")).out)
    assert why_facts["text"] == WHY["text"]
    assert (await command("session", "logs", "demo")).out == "a\nb"


async def test_history_is_of_the_session_and_whole_for_programs(
    server: ScriptedServer, command: Command
) -> None:
    begin = {"at": "2026-11-21T00:00:00+00:00", "from": None, "to": "PENDING", "event": "enqueue"}
    end = {"at": "2026-11-21T00:01:05+00:00", "from": "PENDING", "to": "SCHEDULED"}
    moves = [{**step, "kernel_id": kernel} for step in (begin, end) for kernel in ("k1", None)]
    server.on("GET", "/session/demo/status-history", {"history": moves})
    seen = (await command("session", "history", "demo")).out.splitlines()
    assert len(seen) == 3
    assert "+1m 5s" in seen[2]
    assert len((await command("session", "history", "demo", "--kernels")).out.splitlines()) == 5
    whole = await command("session", "history", "demo", "--output", "csv")
    assert whole.out.splitlines()[1].startswith("2026-11-21T00:00:00+00:00,k1,,PENDING,enqueue")
    assert len(whole.out.splitlines()) == 5


async def test_files_are_listed(server: ScriptedServer, command: Command) -> None:
    entry = {"filename": "a", "size": 3, "mode": "-rw-r--r--", "mtime": 0.0, "ctime": 1, "atime": 1}
    server.on("GET", "/session/demo/files", {"files": json.dumps([entry]), "errors": None})
    done = await command("session", "ls", "demo")
    assert done.out.splitlines()[1].split() == ["-rw-r--r--", "3", "1970-01-01T00:00:00+00:00", "a"]


async def test_events_stop_after_the_wanted_one(server: ScriptedServer, command: Command) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        data = json.dumps({"sessionName": "demo", "reason": "self-terminated", "exitCode": 0})
        for name in ("session_started", "session_terminated"):
            await response.write(f"event: {name}\ndata: {data}\n\n".encode())
        return response

    server.on("GET", "/events/session", stream)
    done = await command("session", "events", "demo", "--until", "session_terminated")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "session_terminated  demo  self-terminated  exit code 0"
