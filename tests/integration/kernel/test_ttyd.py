"""The web terminal as a browser meets it: a shell that stays, whoever comes and goes."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backendai.kernel.apps import terminal as terminals
from backendai.kernel.wire import StopApp

from .conftest import ADDRESS, ASK_SECONDS, Kernel, StartKernel, open_web, wait_until

Open = Callable[[str], AbstractAsyncContextManager["Screen"]]


class Screen:
    """A viewer: all it has been shown, and the events it was told."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.text = ""
        self.events: list[dict[str, Any]] = []
        self.close_code: int | None = None

    async def type(self, text: str) -> None:
        await self.ws.send_bytes(b"\x00" + text.encode())

    async def resize(self, rows: int, cols: int) -> None:
        await self.ws.send_bytes(b"\x01" + json.dumps({"rows": rows, "cols": cols}).encode())

    async def until(self, check: Callable[[], object]) -> None:
        async with asyncio.timeout(ASK_SECONDS):
            while not check():
                message = await self.ws.receive()
                if message.type is not aiohttp.WSMsgType.BINARY:
                    self.close_code = self.ws.close_code
                    assert check(), (message, self.text[-500:], self.events)
                    return
                if message.data[0] == 0:
                    self.text += message.data[1:].decode("utf-8", "replace")
                else:
                    self.events.append(json.loads(message.data[1:]))

    async def until_text(self, text: str) -> None:
        await self.until(lambda: text in self.text)

    async def until_event(self, name: str, **facts: object) -> dict[str, Any]:
        def find() -> list[dict[str, Any]]:
            wanted = {"event": name, **facts}.items()
            return [event for event in self.events if wanted <= event.items()]

        await self.until(find)
        return find()[-1]


@pytest.fixture
async def kernel(start_kernel: StartKernel, tmp_path: Path) -> Kernel:
    # Not the start-up files of whoever runs the tests.
    return await start_kernel(environ={"HOME": str(tmp_path), "SHELL": "/bin/sh"})


@pytest.fixture
async def browser(kernel: Kernel) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_web(kernel, "ttyd") as session:
        yield session


@asynccontextmanager
async def look(session: aiohttp.ClientSession, query: str = "") -> AsyncIterator[Screen]:
    async with session.ws_connect(f"/ws{query}") as ws:
        yield Screen(ws)


async def test_a_command_runs_in_a_shell_of_the_users(browser: aiohttp.ClientSession) -> None:
    async with look(browser, "?rows=40&cols=132") as screen:
        opened = await screen.until_event("opened", is_new=True)
        assert opened["scrollback"] == 0
        await screen.type("echo $((6 * 7)) $TERM; pwd; stty size\r")
        await screen.until_text("42 xterm-256color")
        await screen.until_text("/work\r\n")
        await screen.until_text("40 132")


async def test_the_same_shell_is_there_after_the_connection_was_lost(
    browser: aiohttp.ClientSession,
) -> None:
    async with look(browser) as screen:
        opened = await screen.until_event("opened")
        await screen.type("mine=kept; echo one; (sleep 0.2; echo la''ter) &\r")
        await screen.until_text("one\r\n")
        screen.ws._response.connection.transport.abort()
    async with look(browser) as again:
        await again.until_event("opened", is_new=False, pid=opened["pid"])
        await again.until_text("one\r\n")
        await again.until_text("later")
        await again.type("echo is $mine\r")
        await again.until_text("is kept")


async def test_viewers_see_the_same_at_the_size_of_the_smallest(
    browser: aiohttp.ClientSession,
) -> None:
    async with look(browser, "?rows=50&cols=200") as large:
        await large.until_event("viewers", count=1, rows=50, cols=200)
        async with look(browser, "?rows=60&cols=100") as small:
            await large.until_event("viewers", count=2, rows=50, cols=100)
            await small.type("echo sha''red; stty size\r")
            for screen in (large, small):
                await screen.until_text("shared")
                await screen.until_text("50 100")
            await small.resize(10, 20)
            await large.until_event("viewers", count=2, rows=10, cols=20)
        await large.until_event("viewers", count=1, rows=50, cols=200)


async def test_a_shell_that_ended_is_told_and_makes_room(browser: aiohttp.ClientSession) -> None:
    async with look(browser) as screen:
        first = await screen.until_event("opened")
        await screen.type("exit 3\r")
        await screen.until_event("exited", exit_code=3)
        await screen.until(lambda: screen.ws.closed)
        assert screen.ws.close_code == 1000
    async with look(browser) as screen:
        second = await screen.until_event("opened", is_new=True)
        assert second["pid"] != first["pid"]


async def test_a_shell_is_started_again_for_the_same_viewers(
    browser: aiohttp.ClientSession,
) -> None:
    async with look(browser) as screen, look(browser) as other:
        first = await screen.until_event("opened", is_new=True)
        await other.until_event("opened", is_new=False)
        await screen.type("trap '' HUP; echo tra''pped\r")
        await screen.until_text("trapped")
        await screen.ws.send_bytes(b'\x01{"restart": true}')
        await screen.until(lambda: len([e for e in screen.events if e["event"] == "opened"]) == 2)
        second = await other.until_event("opened", is_new=True)
        assert second["pid"] != first["pid"]
        await other.type("echo fr''esh\r")
        for one in (screen, other):
            await one.until_text("fresh")


async def test_terminals_are_apart_by_name_and_not_without_end(
    browser: aiohttp.ClientSession,
) -> None:
    async with look(browser) as one, look(browser, "?terminal=other") as two:
        first, second = await one.until_event("opened"), await two.until_event("opened")
        assert first["pid"] != second["pid"]
    for number in range(14):
        async with look(browser, f"?terminal=t{number}") as screen:
            await screen.until_event("opened")
    async with look(browser, "?terminal=last") as screen:
        await screen.until(lambda: screen.ws.closed)
        assert screen.ws.close_code == 1013
    async with look(browser) as screen:
        await screen.until_event("opened", is_new=False)


async def test_a_viewer_that_reads_slowly_gets_all_of_it(browser: aiohttp.ClientSession) -> None:
    async with look(browser) as screen:
        await screen.type("seq 1 400000; echo do''ne\r")
        await asyncio.sleep(0.3)
        await screen.until_text("done")
    assert "\r\n".join(map(str, range(2, 400_001))) in screen.text


async def test_a_key_reaches_a_shell_that_floods(browser: aiohttp.ClientSession) -> None:
    async with look(browser) as screen:
        await screen.until_event("opened")
        await screen.type("yes\r")
        await screen.until(lambda: len(screen.text) > 1_000_000)
        await screen.type("\x03")
        await screen.type("echo af''ter\r")
        await screen.until_text("after")


async def test_input_that_nobody_reads_is_bounded(browser: aiohttp.ClientSession) -> None:
    async with look(browser) as screen:
        await screen.type("stty raw -echo; echo re''ady; sleep 1000\r")
        await screen.until_text("ready")
        for _ in range(8):
            await screen.type("x" * 900_000)
        await screen.until(lambda: screen.ws.closed)
        assert screen.ws.close_code == 1009


async def test_a_foreign_page_and_a_bad_name_get_no_shell(browser: aiohttp.ClientSession) -> None:
    for query, origin, status in (
        ("?terminal=../x", ADDRESS, 400),
        ("?terminal=", ADDRESS, 400),
        ("", "http://evil.example", 403),
        ("", f"{ADDRESS}.evil.example", 403),
        ("", "null", 403),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await browser.ws_connect(f"/ws{query}", headers={"Origin": origin})
        assert caught.value.status == status, (query, origin)


async def test_our_own_page_gets_a_shell(browser: aiohttp.ClientSession) -> None:
    async with browser.ws_connect("/ws", headers={"Origin": ADDRESS}) as ws:
        await Screen(ws).until_event("opened")


async def test_nonsense_changes_nothing(browser: aiohttp.ClientSession) -> None:
    async with look(browser, "?rows=30&cols=90") as screen:
        await screen.until_event("opened")
        for body in (b"\x01{", b"\x01[]", b'\x01{"rows": "x", "cols": 1}', b"\x09"):
            await screen.ws.send_bytes(body)
        await screen.ws.send_bytes(b"\x02")
        await screen.until_event("pong")
        assert screen.events[1] == {"event": "viewers", "count": 1, "rows": 30, "cols": 90}


async def test_text_messages_are_refused(browser: aiohttp.ClientSession) -> None:
    async with look(browser) as screen:
        await screen.until_event("opened")
        await screen.ws.send_str("ls")
        await screen.until(lambda: screen.ws.closed)
        assert screen.ws.close_code == 1003


async def test_the_page_and_only_it_is_served(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/") as answer:
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "<title>Terminal</title>" in await answer.text()
    async with browser.get("/terminal.js") as answer:
        assert answer.headers["Content-Type"].startswith("text/javascript")
    for path in ("/../ttyd.py", "/missing.html", "/vendor/../../main.py", "/vendor/"):
        async with browser.get(path) as answer:
            assert answer.status == 404


async def test_a_process_that_died_is_started_again(kernel: Kernel) -> None:
    async with open_web(kernel, "ttyd") as browser, look(browser) as screen:
        await screen.type("echo $PPID' is the parent'\r")
        await screen.until(lambda: "is the parent\r\n" in screen.text.split("\n", 1)[-1])
        lines = [line for line in screen.text.split("\r\n") if "is the parent" in line]
        parent = int(lines[-1].split()[0])
        os.kill(parent, signal.SIGKILL)
        await screen.until(lambda: screen.ws.closed)
    async with open_web(kernel, "ttyd") as browser, look(browser) as screen:
        await screen.until_event("opened", is_new=True)


async def test_stopped_it_takes_its_shells_along(kernel: Kernel) -> None:
    async with open_web(kernel, "ttyd") as browser, look(browser) as screen:
        pid = (await screen.until_event("opened"))["pid"]
        assert (await kernel.ask(StopApp(name="ttyd"))).was_running

        async def is_gone() -> bool:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            return False

        await wait_until(is_gone, "the shell is gone")
    assert not (await kernel.ask(StopApp(name="ttyd"))).was_running


@pytest.mark.parametrize("image", ["empty", "usr"])
async def test_every_image_has_a_terminal(start_kernel: StartKernel, image: str) -> None:
    kernel = await start_kernel(image, variables={"LD_PRELOAD": "/no.so"})
    async with open_web(kernel, "ttyd") as browser, look(browser) as screen:
        await screen.type("echo $LD_PRELOAD in $PWD; ls -d /home/work\r")
        await screen.until_text("/no.so in /home/work\r\n")
        await screen.until(lambda: "/home/work\r\n" in screen.text.split("PWD")[-1])


async def test_a_viewer_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "STALL_SECONDS_MAX", 0.2)
    place = terminals.Terminals({"PATH": os.environ["PATH"]}, Path("/"), 1)
    terminal, stalled = await place.open("main", None)
    _, reader = await place.open("main", None)
    seen = 0

    async def read() -> None:
        nonlocal seen
        while (piece := await reader.take()) is not None:
            seen += len(piece) if isinstance(piece, bytes) else 0

    reading = asyncio.create_task(read())
    terminal.type(b"head -c 4000000 /dev/zero | tr '\\0' x\n")

    async def has_seen_all() -> bool:
        return seen >= 4_000_000

    await wait_until(has_seen_all, "the other viewer has seen all")
    assert stalled.is_dropped
    await place.close()
    await asyncio.wait([reading])
