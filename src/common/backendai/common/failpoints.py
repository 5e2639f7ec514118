"""Named places where tests make a daemon fail: `await failpoint("agent.create.after_start")`.

Unarmed, a failpoint costs one dict lookup. Names are literals, so that `find_failpoints` can list
every one of them and a test can prove that none is left untried.
"""

import ast
import asyncio
import enum
import importlib.util
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ENVIRONMENT_NAME: Final = "BAI_FAILPOINTS"
EVERY_TIME: Final = 0


class Mode(enum.StrEnum):
    KILL = "kill"
    RAISE = "raise"
    DELAY = "delay"
    HANG = "hang"
    CANCEL = "cancel"


class FailpointReached(Exception):
    """What an armed failpoint raises: nothing that any code expects."""


Action = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Armed:
    action: Action
    nth: int
    hits: int = 0

    def is_due(self) -> bool:
        self.hits += 1
        return self.nth in (EVERY_TIME, self.hits)


_armed: dict[str, _Armed] = {}


async def failpoint(name: str) -> None:
    """Do what is armed for `name`; nothing by default."""
    armed = _armed.get(name)
    if armed is not None and armed.is_due():
        await armed.action()


def arm(
    name: str, mode: Mode | Action, *, nth: int = 1, delay_seconds: float = 1.0
) -> Callable[[], None]:
    """Make `name` fail at its `nth` passage (EVERY_TIME: at each). Returns how to disarm it."""
    action = _action_of(name, mode, delay_seconds) if isinstance(mode, Mode) else mode
    _armed[name] = _Armed(action, nth)
    return lambda: disarm(name)


def disarm(name: str) -> None:
    _armed.pop(name, None)


def disarm_all() -> None:
    _armed.clear()


def hits(name: str) -> int:
    """How often the armed failpoint `name` was passed."""
    armed = _armed.get(name)
    return armed.hits if armed is not None else 0


def arm_from_environment(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Arm what BAI_FAILPOINTS says: `name:mode[=seconds][:nth]`, separated by commas.

    `nth` is 1 by default and `*` for every time. Returns the armed names. Raises ValueError.
    """
    items = [item.strip() for item in environ.get(ENVIRONMENT_NAME, "").split(",")]
    return [_arm_one(item) for item in items if item]


def _arm_one(item: str) -> str:
    name, _, rest = item.partition(":")
    mode_text, _, nth_text = rest.partition(":")
    mode_word, _, seconds = mode_text.partition("=")
    try:
        mode = Mode(mode_word)
        nth = EVERY_TIME if nth_text == "*" else int(nth_text or "1")
        arm(name, mode, nth=nth, delay_seconds=float(seconds or "1"))
    except ValueError:
        allowed = "|".join(Mode)
        raise ValueError(
            f"{ENVIRONMENT_NAME}: {item!r} is not `name:{allowed}[=seconds][:nth|*]`"
        ) from None
    return name


def _action_of(name: str, mode: Mode, delay_seconds: float) -> Action:
    async def strike() -> None:
        match mode:
            case Mode.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Mode.RAISE:
                raise FailpointReached(name)
            case Mode.DELAY:
                await asyncio.sleep(delay_seconds)
            case Mode.HANG:
                await asyncio.get_running_loop().create_future()
            case Mode.CANCEL:
                raise asyncio.CancelledError(name)

    return strike


def find_failpoints(packages: Iterable[str]) -> dict[str, list[str]]:
    """Every failpoint in the source of `packages`: name -> ["file:line", ...].

    Raises ValueError where a name is not a string literal.
    """
    found: dict[str, list[str]] = {}
    for package in packages:
        for path in _sources_of(package):
            for name, place in _failpoints_of(path):
                found.setdefault(name, []).append(place)
    return found


def _sources_of(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ValueError(f"there is no package {package!r}")
    folders = spec.submodule_search_locations
    if folders is None:
        return [Path(spec.origin)] if spec.origin else []
    return sorted(path for folder in folders for path in Path(folder).rglob("*.py"))


def _failpoints_of(path: Path) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if not (isinstance(node, ast.Call) and _is_failpoint(node.func)):
            continue
        place = f"{path}:{node.lineno}"
        match node.args:
            case [ast.Constant(value=str(name))]:
                found.append((name, place))
            case _:
                raise ValueError(f"{place}: the name of a failpoint is a string literal")
    return found


def _is_failpoint(func: ast.expr) -> bool:
    return (isinstance(func, ast.Name) and func.id == "failpoint") or (
        isinstance(func, ast.Attribute) and func.attr == "failpoint"
    )
