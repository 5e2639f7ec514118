"""The command where something around it is broken: never a trace, always an exit code."""

import asyncio
import os
import shlex
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.integration.client.conftest import PROGRAM, Command, Done
from tests.integration.client.scripted import ScriptedServer


async def run_shell(server: ScriptedServer, script: str, **more: str) -> Done:
    """`script` with `backendai` for the program, in a shell."""
    environ = {"PATH": os.environ["PATH"], **server.environ, **more}
    text = script.replace("backendai", shlex.quote(str(PROGRAM)))
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", text, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environ
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    done = Done(process.returncode or 0, out.decode(), err.decode())
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    return done


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("backendai ps >&-", 0, ""),
        ("backendai ps <&- >&- 2>&-", 0, ""),
        ("backendai session exec demo <&-", 2, "on stdin"),
        ("backendai ps >/dev/full", 1, "No space left on device"),
        ("backendai --help >/dev/full", 1, "No space left on device"),
        ("backendai nosuch 2>/dev/full", 2, ""),
        ("backendai session info nosuch 2>/dev/full", 6, ""),
    ],
)
async def test_closed_and_full_streams(
    server: ScriptedServer, script: str, code: int, said: str
) -> None:
    done = await run_shell(server, script)
    assert done.code == code, done
    assert said in done.err


@pytest.mark.parametrize("words", ["ps --all", "--help", "session exec demo -c 1"])
async def test_a_reader_that_leaves_early_is_told_nothing(
    server: ScriptedServer, words: str
) -> None:
    done = await run_shell(server, f"set -o pipefail; backendai {words} | true")
    assert done.err == ""
    assert done.code in (0, 1)


@pytest.mark.parametrize(
    "words",
    [
        r"session info $'\xff'",
        r"session create --name $'\xff'",
        r"session exec demo -c $'print(\"\xff\")'",
        r"$'\xff'",
    ],
)
async def test_words_that_are_no_text_are_wrong_usage(server: ScriptedServer, words: str) -> None:
    done = await run_shell(server, f"backendai {words}")
    assert done.code == 2
    assert "write UTF-8" in done.err
    assert server.seen == []


async def test_scripts_that_are_no_text_are_wrong_usage(
    server: ScriptedServer, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_bytes(b"\xff")
    done = await command("session", "create", "--image", "x:1", "--bootstrap-script", "odd.py")
    assert (done.code, "odd.py is not UTF-8" in done.err) == (2, True)
    done = await run_shell(server, r"printf '\xff' | backendai session exec demo")
    assert (done.code, "stdin is not UTF-8" in done.err) == (2, True)
    done = await command("run", "--image", "x:1", "odd.py")
    assert (done.code, "odd.py is not UTF-8" in done.err) == (2, True)


@pytest.mark.parametrize(
    "more",
    [
        {"COLUMNS": "20"},
        {"COLUMNS": "1"},
        {"COLUMNS": "wide"},
        {"NO_COLOR": "1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"LC_ALL": "nosuch"},
        {"HOME": "/nonexistent"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
async def test_odd_environments(server: ScriptedServer, more: dict[str, str]) -> None:
    for words in ("ps", "session create --help", "session exec demo -c é"):
        done = await run_shell(server, f"backendai {words}", **more)
        assert done.code == (2 if "PYTHONUTF8" in more and "é" in words else 0), done


@pytest.mark.parametrize(
    "more",
    [
        {"BACKEND_ENDPOINT": "http://[::1"},
        {"BACKEND_ENDPOINT": "http://h:99999"},
        {"BACKEND_ACCESS_KEY": "é"},
        {"BACKEND_DOMAIN": "a\nb"},
    ],
    ids=str,
)
async def test_a_wrong_configuration_is_told_in_one_line(
    server: ScriptedServer, more: dict[str, str]
) -> None:
    done = await run_shell(server, "backendai ps", **more)
    assert (done.code, len(done.err.splitlines())) == (4, 1)


async def test_an_empty_name_is_told(command: Command, server: ScriptedServer) -> None:
    for words in (("session", "info", ""), ("session", "terminate", "")):
        done = await command(*words)
        assert (done.code, "empty" in done.err) == (4, True)
    assert server.seen == []


async def test_a_folder_that_cannot_be_written_is_named(
    server: ScriptedServer, command: Command, tmp_path: Path
) -> None:
    done = await command("run", "--image", "x:1", "--bootstrap-script", str(tmp_path), "-c", "1")
    assert (done.code, str(tmp_path) in done.err) == (2, True)
