"""What people do with a cluster, again and again, and what of it failed: run on the machine.

    python load.py SESSION …

until the file `load.stop` is there. Fifty requests begin each second: looks, lists, code in one of
the sessions, files of the folder `busy`, and looks through the webserver. One that fails is asked
once more, a second later, as a client does. Beside them terminals are open; one that breaks is
opened again. The last line is a JSON object.
"""

import asyncio
import itertools
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from backendai.client import Client, Config
from backendai.client.apps.terminal import Terminal
from backendai.client.logins import log_in
from backendai.client.plain import PlainTransport

RATE: Final = 50
PAUSE_SECONDS: Final = 1.0
WEBSERVER: Final = "http://127.0.0.1:8090"
SILENCE_SECONDS_MAX: Final = 15.0
ASK_SHELL: Final = b"echo shell-is-$$.\r"
SHELL: Final = re.compile(rb"shell-is-(\d+)\.")
STOP: Final = Path("load.stop")
Work = Callable[[], Awaitable[object]]


@dataclass
class Tally:
    """Counts, texts and seconds, by kind of request; of each terminal the shells it showed."""

    asked: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    longest: dict[str, float] = field(default_factory=dict)
    shells: dict[str, list[str]] = field(default_factory=dict)


async def ask(kind: str, work: Work, tally: Tally) -> None:
    began = time.monotonic()
    tally.asked[kind] += 1
    try:
        await work()
    except Exception as first:
        tally.retried[f"{kind}: {first!r:.160}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            await work()
        except Exception as again:
            tally.failed.append(f"{time.strftime('%T')} {kind}: {again!r:.300}")
    took = time.monotonic() - began
    tally.longest[kind] = round(max(took, tally.longest.get(kind, 0.0)), 2)


async def run_code(client: Client, session: str) -> None:
    result = await client.sessions.run_code(session, "print(6 * 7)")
    if result.stdout != "42\n":
        raise ValueError(result)


async def keep_terminal(client: Client, session: str, tally: Tally) -> None:
    """Ask for the shell's process number again and again, as long as the connection lasts."""
    seen = tally.shells.setdefault(session, [])
    while not STOP.exists():
        try:
            async with client.apps.terminal(session) as terminal:
                await ask_shell(terminal, seen)
        except Exception as error:
            tally.retried[f"terminal: {error!r:.160}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def keep_listening(client: Client, session: str) -> None:
    """As a page of the GUI does, which a server that ends must not wait for."""

    async def listen() -> None:
        async for _ in client.sessions.events(session):
            pass

    listening = asyncio.create_task(listen())
    while not (STOP.exists() or listening.done()):
        await asyncio.wait((listening,), timeout=PAUSE_SECONDS)
    listening.cancel()
    await asyncio.wait((listening,))


async def ask_shell(terminal: Terminal, seen: list[str]) -> None:
    shown, pieces = b"", aiter(terminal)
    await terminal.type(ASK_SHELL)
    while not STOP.exists():
        async with asyncio.timeout(SILENCE_SECONDS_MAX):
            shown += await anext(pieces)
        if told := SHELL.findall(shown):
            seen += [number.decode() for number in told]
            shown = b""
            await asyncio.sleep(PAUSE_SECONDS)
            await terminal.type(ASK_SHELL)


def kinds_of(client: Client, web: Client, sessions: list[str]) -> Mapping[str, Work]:
    def any_session() -> str:
        return random.choice(sessions)

    return {
        "look": lambda: client.sessions.info(any_session()),
        "list": client.sessions.list,
        "code": lambda: run_code(client, any_session()),
        "files": lambda: client.vfolders.list_files("busy"),
        "web": lambda: web.sessions.info(any_session()),
    }


async def main(sessions: list[str]) -> None:
    tally = Tally()
    # Once more is what `ask` does, not what the client does by itself.
    config = replace(Config.from_environment(), retry_seconds=0.0)
    site = replace(config, endpoints=(WEBSERVER,), kind="session", access_key="", secret_key="")
    known = os.environ
    login = await log_in(
        site, known["BAI_LOGIN"], known["BAI_PASSWORD"], transport=PlainTransport(site)
    )
    async with Client(config) as client, Client(login) as web, asyncio.TaskGroup() as group:
        for way, session in zip((client, client, web), sessions, strict=False):
            group.create_task(keep_terminal(way, session, tally))
        for way in (client, web):
            group.create_task(keep_listening(way, sessions[0]))
        kinds = itertools.cycle(kinds_of(client, web, sessions).items())
        next_at = time.monotonic()
        while not STOP.exists():
            kind, work = next(kinds)
            group.create_task(ask(kind, work, tally))
            next_at += 1 / RATE
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
    print(json.dumps(vars(tally)))


asyncio.run(main(sys.argv[1:]))
