"""The apps of a kernel: starts them, ends them, and connects whoever comes through the door."""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from backendai.kernel.runner import definitions, recipes
from backendai.kernel.runner.builtin import BuiltIns
from backendai.kernel.runner.definitions import Definition, Values
from backendai.kernel.runner.environment import list_interpreters
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
        definitions_dir: Path = definitions.FOLDER,
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
        check_words(ask)
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
        environ = {**self._environ, **ask.envs}
        definition = definitions.find_definition(self._definitions_dir, offer.name)
        if definition is not None and definition.command:
            command = await self._prepare(definition, offer, ask, environ)
        else:
            command = self._find_command(offer, ask)
        try:
            return self._programs.spawn(offer.name, command, environ)
        except (OSError, ValueError) as error:
            raise Refusal("not-started", f"{offer.name} cannot be started: {error}") from error

    async def _prepare(
        self, definition: Definition, offer: Offer, ask: StartApp, environ: dict[str, str]
    ) -> list[str]:
        """The command of the image; `environ` gets what the image adds."""
        definitions.check_given(definition, ask.arguments, ask.envs)
        interpreters = list_interpreters(self._setup.runtime_path, self._environ["PATH"])
        values = Values(offer.ports, next(iter(interpreters), sys.executable), str(self._work_dir))
        await definitions.take_steps(
            definition, values, lambda argv: self._programs.run(argv, environ)
        )
        environ |= {key: values.fill(text) for key, text in definition.env.items()} | ask.envs
        arguments = {**definition.default_arguments, **ask.arguments}
        return [values.fill(word) for word in definition.command] + list_words(arguments)

    def _find_command(self, offer: Offer, ask: StartApp) -> list[str]:
        recipe = recipes.RECIPES.get(offer.name)
        program = recipe and recipes.find_program(recipe, self._environ["PATH"])
        if recipe is None or not program:
            port = offer.ports[0]
            raise Refusal(
                "not-started",
                f"nothing listens on port {port}, and how {offer.name} is started the image does "
                f"not say in {self._definitions_dir}: start it in the session yourself",
            )
        situation = recipes.Situation(
            program=program,
            port=offer.ports[0],
            work_dir=str(self._work_dir),
            is_root=os.getuid() == 0,
            given=frozenset(ask.arguments),
        )
        return recipe.make_command(situation) + list_words(ask.arguments)

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


def check_words(ask: StartApp) -> None:
    """Raises Refusal for what no command line and no environment can hold."""
    words = [*list_words(ask.arguments), *ask.envs, *ask.envs.values()]
    if any("\0" in word for word in words):
        raise Refusal("bad-request", "arguments and variables must not hold a NUL character")
    if any(not name or "=" in name for name in ask.envs):
        raise Refusal("bad-request", "the name of a variable is not empty and holds no `=`")


def list_words(arguments: Mapping[str, str | Sequence[str] | None]) -> list[str]:
    """The words of a command line: each name, and its value or values behind it."""
    words = []
    for name, value in arguments.items():
        words.append(name)
        if isinstance(value, str):
            words.append(value)
        elif value is not None:
            words += value
    return words


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
