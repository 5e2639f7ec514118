"""How the image says that its apps are started: `/etc/backend.ai/service-defs/<name>.json`.

Words of a definition may hold `{ports[0]}`, `{runtime_path}`, `{work_dir}`, and the reference of a
step that goes before.
"""

import logging
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from backendai.kernel.runner.runs import Refusal

DEFINITION_BYTES_MAX: Final = 1024 * 1024
_PLACE: Final = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(\[(?P<index>\d{1,3})\])?\}")

_logger = logging.getLogger(__name__)

RunCommand = Callable[[list[str]], Awaitable[str]]


class Step(msgspec.Struct, frozen=True):
    """One action before the start; what it makes is known by `ref` in later words."""

    action: Literal["write_file", "write_tempfile", "mkdir", "run_command", "log"]
    args: dict[str, Any] = {}
    ref: str = ""


class Definition(msgspec.Struct, frozen=True):
    """One app's file. Without `allowed_arguments` or `allowed_envs` any may be given."""

    command: list[str] = []
    prestart: list[Step] = []
    env: dict[str, str] = {}
    default_arguments: dict[str, str | list[str] | None] = {}
    allowed_arguments: list[str] | None = None
    allowed_envs: list[str] | None = None
    noop: bool = False


@dataclass
class Values:
    """What the places in words stand for."""

    ports: Sequence[int]
    runtime_path: str
    work_dir: str
    references: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """A place that nobody knows stays as it is: braces are common in configurations."""
        return _PLACE.sub(self._look_up, text)

    def _look_up(self, match: re.Match[str]) -> str:
        name, index = match["name"], match["index"]
        if name == "ports" and index is not None:
            number = int(index)
            return str(self.ports[number]) if number < len(self.ports) else match[0]
        known = {"runtime_path": self.runtime_path, "work_dir": self.work_dir, **self.references}
        return known.get(name, match[0]) if index is None else match[0]


def find_definition(folder: Path, name: str) -> Definition | None:
    """None where the image has none; raises Refusal for one that cannot be read."""
    path = folder / f"{name}.json"
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(DEFINITION_BYTES_MAX), type=Definition)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Refusal("not-started", f"the image's {path} is of no use: {error}") from error


async def take_steps(definition: Definition, values: Values, run: RunCommand) -> None:
    """Do what goes before the start. Raises Refusal naming the step that fails."""
    for step in definition.prestart:
        try:
            result = await _take(step, values, run)
        except (OSError, KeyError, TypeError, ValueError) as error:
            why = f"{step.action} failed: {type(error).__name__}: {error}"
            raise Refusal("not-started", f"a step before the start, {why}") from error
        if step.ref:
            values.references[step.ref] = result
        _logger.info("%s %s", step.action, result)


async def _take(step: Step, values: Values, run: RunCommand) -> str:
    args = step.args
    match step.action:
        case "write_tempfile":
            descriptor, path = tempfile.mkstemp()
            _write(descriptor, values.fill(_text(args["body"])), args.get("mode", "644"))
            return path
        case "write_file":
            path = values.fill(args["filename"])
            way = os.O_APPEND if args.get("append") else os.O_TRUNC
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | way, 0o644)
            _write(descriptor, values.fill(_text(args["body"])), args.get("mode", "644"))
            return path
        case "mkdir":
            path = values.fill(args["path"])
            os.makedirs(path, exist_ok=True)  # noqa: PTH103 - of a path that is text
            return path
        case "run_command":
            return await run([values.fill(word) for word in args["command"]])
        case "log":
            return values.fill(str(args.get("message", "")))


def _text(body: str | Sequence[str]) -> str:
    return body if isinstance(body, str) else "".join(body)


def _write(descriptor: int, text: str, mode: str) -> None:
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), int(mode, 8))


def check_given(
    definition: Definition, arguments: Mapping[str, object], envs: Mapping[str, str]
) -> None:
    """Raises Refusal for what the definition does not let through."""
    for kind, given, allowed in (
        ("argument", arguments, definition.allowed_arguments),
        ("environment variable", envs, definition.allowed_envs),
    ):
        unknown = sorted(set(given) - set(allowed)) if allowed is not None else []
        if unknown:
            can = ", ".join(allowed or []) or "none"
            raise Refusal(
                "bad-request", f"the app takes no {kind} {unknown[0]!r}; allowed are: {can}"
            )
