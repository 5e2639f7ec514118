"""The proof: a user of the cluster runs a line of Python in a session, through the SDK."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from backendai.client.client import Client
from backendai.client.config import Config
from backendai.client.results import Created, NewSession
from backendai.common.faults import Fault, ImageNotFound

from .accounts import load_accounts
from .daemons import Core
from .faults import SetupFault
from .places import write_file

_NAME = "first-session"
_CODE = "import platform; print(f'hello from {platform.node()}: 6 * 7 = {6 * 7}')"
_IMAGE_SECONDS = 45.0
_SESSION_SECONDS = 90


async def run_first_session(core: Core, image: str, say: Callable[[str], None]) -> str:
    """What the session printed. A second `up` shows what the first one kept."""
    kept = core.layout.root / "first-session.txt"
    if kept.exists():
        say("done before")
        return kept.read_text()
    async with _open_client(core) as client:
        try:
            output = await _run(client, core, image, say)
        except Fault as fault:
            raise _blame(core, f"the first session failed: {fault}") from fault
        finally:
            with suppress(Fault):
                await client.sessions.destroy(_NAME, forced=True)
    write_file(kept, output)
    return output


async def _run(client: Client, core: Core, image: str, say: Callable[[str], None]) -> str:
    say("starting a container")
    new = NewSession(image=image, name=_NAME, reuse=True, max_wait_seconds=_SESSION_SECONDS)
    created = await _create(client, new)
    if created.status != "RUNNING":
        why = await client.sessions.why(_NAME)
        raise _blame(core, f"the first session is {created.status}: {why}")
    say("running code")
    result = await client.sessions.run_code(_NAME, _CODE)
    if "6 * 7 = 42" not in result.stdout:
        raise _blame(core, f"the first session printed {result.stdout!r} {result.stderr!r}")
    say("done")
    return result.stdout


async def _create(client: Client, new: NewSession) -> Created:
    """A new agent's images are known to the manager a moment after it starts."""
    deadline = time.monotonic() + _IMAGE_SECONDS
    while True:
        try:
            return await client.sessions.create(new)
        except ImageNotFound:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


def _open_client(core: Core) -> Client:
    user = load_accounts(core.layout)[1]
    return Client(Config((core.endpoint,), user.access_key, user.secret_key))


def _blame(core: Core, problem: str) -> SetupFault:
    logs = " and ".join(str(core.layout.log_file(name)) for name in ("agent", "manager"))
    return SetupFault(problem, f"read {logs}, then run `./bai up` again")
