"""The command by which an app is started: what the image says, else what the platform knows.

Imported when an app is started for the first time.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backendai.kernel.runner.definitions import (
    Definition,
    Values,
    check_given,
    find_definition,
    take_steps,
)
from backendai.kernel.runner.environment import list_interpreters
from backendai.kernel.runner.offers import Offer, find_program
from backendai.kernel.runner.recipes import RECIPES, Situation
from backendai.kernel.runner.runs import Refusal
from backendai.kernel.wire import StartApp


@dataclass(frozen=True)
class Ground:
    """Where apps are started; `run` carries out a short command of a definition."""

    environ: Mapping[str, str]
    work_dir: Path
    definitions_dir: Path
    runtime_path: str
    run: Callable[[Sequence[str], Mapping[str, str]], Awaitable[str]]


async def make_command(
    offer: Offer, ask: StartApp, ground: Ground
) -> tuple[list[str], dict[str, str]]:
    """The words and the environment of the program; raises Refusal."""
    environ = {**ground.environ, **ask.envs}
    definition = find_definition(ground.definitions_dir, offer.name)
    if definition is not None and definition.command:
        return await _follow(definition, offer, ask, ground)
    program = find_program(offer.name, ground.environ["PATH"])
    if not program:
        raise Refusal(
            "not-started",
            f"nothing listens on port {offer.ports[0]}, and how {offer.name} is started the image "
            f"does not say in {ground.definitions_dir}: start it in the session yourself",
        )
    situation = Situation(
        program=program,
        port=offer.ports[0],
        work_dir=str(ground.work_dir),
        is_root=os.getuid() == 0,
        given=frozenset(ask.arguments),
    )
    return RECIPES[offer.name](situation) + list_words(ask.arguments), environ


async def _follow(
    definition: Definition, offer: Offer, ask: StartApp, ground: Ground
) -> tuple[list[str], dict[str, str]]:
    """What the image says; what is asked for goes before it."""
    check_given(definition, ask.arguments, ask.envs)
    interpreters = list_interpreters(ground.runtime_path, ground.environ["PATH"])
    values = Values(offer.ports, next(iter(interpreters), sys.executable), str(ground.work_dir))
    before = {**ground.environ, **ask.envs}
    await take_steps(definition, values, lambda argv: ground.run(argv, before))
    own = {key: values.fill(text) for key, text in definition.env.items()}
    words = [values.fill(word) for word in definition.command]
    arguments = {**definition.default_arguments, **ask.arguments}
    return words + list_words(arguments), {**ground.environ, **own, **ask.envs}


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


def check_words(ask: StartApp) -> None:
    """Raises Refusal for what no command line and no environment can hold."""
    words = [*list_words(ask.arguments), *ask.envs, *ask.envs.values()]
    if any("\0" in word for word in words):
        raise Refusal("bad-request", "arguments and variables must not hold a NUL character")
    if any(not name or "=" in name for name in ask.envs):
        raise Refusal("bad-request", "the name of a variable is not empty and holds no `=`")
