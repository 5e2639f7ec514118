"""The apps of a kernel: starts them, ends them, and connects whoever comes through the door."""

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backendai.kernel.runner.builtin import BuiltIns
from backendai.kernel.runner.offers import PREOPEN, Offer, list_offers
from backendai.kernel.runner.processes import Child
from backendai.kernel.runner.programs import Programs
from backendai.kernel.runner.runs import Refusal
from backendai.kernel.wire import (
    AppEntry,
    Connect,
    KernelSetup,
    StartApp,
    StartAppReply,
    StopAppReply,
)

DEFINITIONS_DIR: Final = Path("/etc/backend.ai/service-defs")
START_SECONDS_MAX: Final = 25.0
CONNECT_SECONDS_MAX: Final = 4.0
LOOK_SECONDS: Final = 0.02
LOOK_SECONDS_MAX: Final = 0.25
LOOPBACKS: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class Apps:
    """All of them. What is offered is looked up anew each time: a user may install a program."""

    def __init__(
        self,
        setup: KernelSetup,
        programs: Programs,
        environ: Mapping[str, str],
        run_dir: Path,
        work_dir: Path,
        definitions_dir: Path = DEFINITIONS_DIR,
    ) -> None:
        self._setup = setup
        self._environ = environ
        self._work_dir = work_dir
        self._definitions_dir = definitions_dir
        self._programs = programs
        self._built_ins = BuiltIns(self._programs, environ, run_dir, work_dir)
        self._is_ending = False

    def list_entries(self) -> list[AppEntry]:
        return [
            AppEntry(
                name=offer.name,
                protocol=offer.protocol,
                ports=list(offer.ports),
                is_running=self._programs.find_live(offer.name) is not None,
            )
            for offer in self._list_offers().values()
        ]

    def admit_siblings(self) -> None:
        """Other kernels of the session reach the SSH server from now on."""
        self._built_ins.listen_for_siblings("sshd", self._get_offer("sshd").ports[0])

    def refuse_starts(self) -> None:
        """From now on: the kernel ends."""
        self._is_ending = True
        self._built_ins.refuse_starts()

    async def start(self, ask: StartApp) -> StartAppReply:
        """When the app answers. Raises Refusal when it ends, or takes longer than is waited for:
        then it goes on starting.
        """
        offer = self._get_offer(ask.name)
        port = _choose_port(offer, ask.port or 0)
        if offer.source == "built-in":
            is_new = await self._start_built_in(offer)
        else:
            is_new = await self._start_program(offer, port, ask)
        return StartAppReply(protocol=offer.protocol, ports=list(offer.ports), is_new=is_new)

    async def stop(self, name: str) -> StopAppReply:
        """Who waits for it to start is told that it ended. Raises Refusal for an unknown one."""
        return StopAppReply(await self._programs.stop(self._get_offer(name).name))

    async def connect(self, ask: Connect) -> socket.socket:
        """A stream to the app; raises Refusal."""
        offer = self._get_offer(ask.app)
        port = _choose_port(offer, ask.port)
        if offer.source == "built-in":
            await self._start_built_in(offer)
            return self._built_ins.connect(offer.name)
        stream = await open_port(port, CONNECT_SECONDS_MAX)
        if stream is not None:
            return stream
        if offer.protocol == PREOPEN or self._programs.find_live(offer.name):
            raise Refusal("refused", f"{offer.name} does not listen on port {port}")
        raise Refusal("not-started", f"{offer.name} does not run")

    def _list_offers(self) -> dict[str, Offer]:
        return list_offers(self._setup.apps, self._environ["PATH"])

    def _get_offer(self, name: str) -> Offer:
        offers = self._list_offers()
        if name not in offers:
            raise Refusal(
                "unknown-app", f"there is no app {name!r} here; there are: {', '.join(offers)}"
            )
        return offers[name]

    async def _start_built_in(self, offer: Offer) -> bool:
        self._require_going_on()
        return await self._built_ins.start(offer.name)

    def _require_going_on(self) -> None:
        if self._is_ending:
            raise Refusal("not-started", "the kernel ends")

    async def _start_program(self, offer: Offer, port: int, ask: StartApp) -> bool:
        async with self._programs.lock(offer.name):
            child = self._programs.find_live(offer.name)
            if child is None and await is_open(port):
                return False
            is_new = child is None
            if child is None:
                self._require_going_on()
                child = await self._launch(offer, ask)
            await self._await_port(offer, port, child)
            return is_new

    async def _launch(self, offer: Offer, ask: StartApp) -> Child:
        # Only sessions that start an app pay for this.
        from backendai.kernel.runner import commands

        commands.check_words(ask)
        ground = commands.Ground(
            environ=self._environ,
            work_dir=self._work_dir,
            definitions_dir=self._definitions_dir,
            runtime_path=self._setup.runtime_path,
            run=self._programs.run,
        )
        command, environ = await commands.make_command(offer, ask, ground)
        try:
            return self._programs.spawn(offer.name, command, environ)
        except (OSError, ValueError) as error:
            raise Refusal("not-started", f"{offer.name} cannot be started: {error}") from error

    async def _await_port(self, offer: Offer, port: int, child: Child) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + START_SECONDS_MAX, LOOK_SECONDS
        while not await is_open(port):
            if child.ended.done():
                raise Refusal("not-started", self._programs.explain_end(offer.name))
            if loop.time() > deadline:
                raise Refusal(
                    "not-started",
                    f"{offer.name} did not listen on port {port} within {START_SECONDS_MAX:g} s; "
                    "it goes on starting: try again",
                )
            await asyncio.wait([child.ended], timeout=pause)
            pause = min(pause * 1.5, LOOK_SECONDS_MAX)


def _choose_port(offer: Offer, asked: int) -> int:
    """The one that is asked for, 0 the first; raises Refusal when it is none of the app's."""
    if asked and asked not in offer.ports:
        ports = ", ".join(map(str, offer.ports))
        raise Refusal("bad-request", f"{offer.name} has no port {asked}; it has: {ports}")
    return asked or offer.ports[0]


async def is_open(port: int) -> bool:
    stream = await open_port(port, CONNECT_SECONDS_MAX)
    if stream is not None:
        stream.close()
    return stream is not None


async def open_port(port: int, seconds: float) -> socket.socket | None:
    """Connected inside the container to whoever listens on the port; None when nobody does."""
    loop = asyncio.get_running_loop()
    for family, address in LOOPBACKS:
        try:
            stream = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue
        try:
            stream.setblocking(False)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(stream, (address, port))
        except OSError:
            stream.close()
        except BaseException:
            stream.close()
            raise
        else:
            return stream
    return None
