"""The scripted API, and the command as its own process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from backendai.client import Client, Config
from tests.integration.client.scripted import ScriptedServer, serve

PROGRAM = Path(sys.executable).with_name("backendai")


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Awaitable[Done]]


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with serve() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(server.environ)) as opened:
        yield opened


@pytest.fixture
def command(server: ScriptedServer, tmp_path: Path) -> Command:
    """Runs `backendai` with the scripted user's environment, in an empty folder."""

    async def run(*words: str, stdin: str = "", environ: dict[str, str] | None = None) -> Done:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=tmp_path,
            env=kept | (server.environ if environ is None else environ),
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
        return Done(process.returncode or 0, out.decode(), err.decode())

    return run
