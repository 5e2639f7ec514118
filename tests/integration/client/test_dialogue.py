"""`session exec` on a terminal: what is typed runs line by line."""

import asyncio
import os
import pty
from collections.abc import AsyncIterator

import pytest

from backendai.client.cli.dialogue import is_whole
from tests.integration.client.conftest import PROGRAM
from tests.integration.client.scripted import ScriptedServer


class Typist:
    """A person at a terminal: waits for a text, then types."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._unread = ""

    async def see(self, text: str) -> str:
        """What came up to and with `text`."""
        while text not in self._unread:
            chunk = await asyncio.wait_for(asyncio.to_thread(os.read, self._terminal, 4096), 20)
            self._unread += chunk.decode()
        before, found, self._unread = self._unread.partition(text)
        return before + found

    async def type(self, prompt: str, text: str) -> None:
        await self.see(prompt)
        os.write(self._terminal, text.encode())


@pytest.fixture
async def typist(server: ScriptedServer) -> AsyncIterator[Typist]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("session", "exec", "demo"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**server.environ, "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(theirs)
    yield Typist(ours)
    os.write(ours, b"\x04")
    assert await asyncio.wait_for(process.wait(), 20) == 0
    os.close(ours)


async def test_each_whole_statement_runs_and_prompts_of_code_are_answered(
    typist: Typist, server: ScriptedServer
) -> None:
    await typist.type(">>> ", "x = 1\n")
    await typist.see("x = 1\r\nx = 1\r\n")
    await typist.type(">>> ", "for i in x:\n")
    await typist.type("... ", "  print(i)\n")
    await typist.type("... ", "\n")
    await typist.see("for i in x:\r\n  print(i)\r\n\r\n")
    await typist.type(">>> ", "input()\n")
    await typist.type("input()\r\ninput()\r\n", "yes\n")
    await typist.see("<yes>")
    await typist.see(">>> ")
    runs = [target for target in server.targets() if "execute" in target]
    assert len(runs) == 3


async def test_blank_lines_ask_nothing(typist: Typist, server: ScriptedServer) -> None:
    await typist.type(">>> ", "\n")
    await typist.see(">>> ")
    assert server.targets() == ["GET /session/demo"]


@pytest.mark.parametrize("code", ["x = 1", "if x:\n  y\n", "1 +* 2", "SELECT 1;", "\0"])
def test_whole_statements(code: str) -> None:
    assert is_whole(code)


@pytest.mark.parametrize("code", ["if x:", "if x:\n  y", "f(", "'''a"])
def test_statements_that_go_on(code: str) -> None:
    assert not is_whole(code)
