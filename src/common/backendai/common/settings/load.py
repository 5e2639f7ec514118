"""Reading settings: defaults, then TOML, then the environment for secrets; all mistakes at once."""

import difflib
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import trafaret as t

from ..faults import ServerMisconfigured
from ..logs import hide_secret
from .fields import Section, Setting, entries, secret_values

T = TypeVar("T")


class BadSettings(ServerMisconfigured):
    """Facts: `mistakes`, a list of {file, key, given, message}; the detail has them all as text."""

    code = "server.bad_settings"


@dataclass(frozen=True, slots=True)
class Mistake:
    file: str
    key: str
    message: str
    given: str = ""

    def __str__(self) -> str:
        given = f" (given: {self.given})" if self.given else ""
        return f"{self.file}: {self.key}: {self.message}{given}"


def load_settings(
    tree: type[T],
    daemon: str,
    path: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
) -> T:
    """The settings of `daemon` from `path`, or from the first place that has `<daemon>.toml`.

    Raises BadSettings with every mistake of the file at once.
    """
    file = path if path is not None else find_file(daemon)
    return check_settings(tree, _read_toml(file), str(file), environ=environ, mode=_mode_of(file))


def check_settings(
    tree: type[T],
    data: Mapping[str, Any],
    source: str,
    *,
    environ: Mapping[str, str] | None = None,
    mode: int = 0o600,
) -> T:
    """An instance of `tree` from plain values; `source` names them in messages.

    `mode` is that of the file: one that others may read must not hold secrets.
    """
    reader = _Reader(source, environ or {}, mode)
    made = reader.read(tree, data, ())
    if reader.mistakes:
        raise _fault_of(reader.mistakes)
    for value in secret_values(made):
        hide_secret(value)
    return made


def places(daemon: str) -> list[Path]:
    """Where `<daemon>.toml` is looked for, first one first."""
    folders = (Path.cwd(), Path.home() / ".config/backend.ai", Path("/etc/backend.ai"))
    return [folder / f"{daemon}.toml" for folder in folders]


def find_file(daemon: str) -> Path:
    for path in places(daemon):
        if _is_there(path):
            return path
    looked = ", ".join(str(path) for path in places(daemon))
    raise BadSettings(f"there is no {daemon}.toml; looked for {looked}")


def _is_there(path: Path) -> bool:
    """Not where folders are shut: root's shell begins in one that `runuser -u` cannot look into."""
    try:
        return path.is_file()
    except PermissionError:
        return False


@dataclass(slots=True)
class _Reader:
    source: str
    environ: Mapping[str, str]
    mode: int
    mistakes: list[Mistake] = field(default_factory=list)

    def read(self, tree: type[T], data: Mapping[str, Any], path: tuple[str, ...]) -> T:
        known = list(entries(tree))
        self._report_unknown([entry.key for entry in known], data, path)
        values = {entry.name: self._value(entry, data, path) for entry in known}
        # With mistakes there is nothing sound to make; the caller raises them all.
        return object.__new__(tree) if self.mistakes else tree(**values)

    def _value(
        self, entry: Setting | Section, data: Mapping[str, Any], path: tuple[str, ...]
    ) -> Any:
        if isinstance(entry, Setting):
            return self._setting(entry, data, path)
        inner = data.get(entry.key, {})
        if not isinstance(inner, Mapping):
            self._report((*path, entry.key), "must be a table", inner)
            inner = {}
        return self.read(entry.tree, inner, (*path, entry.key))

    def _setting(self, entry: Setting, data: Mapping[str, Any], path: tuple[str, ...]) -> Any:
        here = (*path, entry.key)
        if entry.env and self.environ.get(entry.env):
            return self._checked(entry, self.environ[entry.env], (f"${entry.env}",))
        if entry.key in data:
            if entry.check.is_secret and data[entry.key] and self.mode & stat.S_IROTH:
                self._report(
                    here, f"is a secret in a file that others may read: chmod 600 {self.source}"
                )
            return self._checked(entry, data[entry.key], here)
        if entry.is_required:
            also = f", here or as ${entry.env}" if entry.env else ""
            self._report(here, f"is required: {entry.check.allowed}{also}")
        return entry.default

    def _checked(self, entry: Setting, value: Any, path: tuple[str, ...]) -> Any:
        try:
            return entry.check.trafaret.check(value)
        except t.DataError as error:
            given = None if entry.check.is_secret else value
            for inner, message in _messages(error, entry):
                self._report((*path, *inner), message, given)
            return entry.default

    def _report_unknown(
        self, known: list[str], data: Mapping[str, Any], path: tuple[str, ...]
    ) -> None:
        for key in data:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self._report((*path, key), f"is unknown; {hint}")

    def _report(self, path: tuple[str, ...], message: str, given: Any = None) -> None:
        shown = "" if given is None else repr(given)[:100]
        self.mistakes.append(Mistake(self.source, ".".join(path), message, shown))


def _messages(error: t.DataError, entry: Setting) -> Iterator[tuple[tuple[str, ...], str]]:
    if not isinstance(error.error, dict):
        message = str(error.error)
        yield (), message if "must be" in message else f"must be {entry.check.allowed}"
        return
    for key, inner in error.error.items():
        for path, message in _messages(inner, entry):
            yield (str(key), *path), message


def _fault_of(mistakes: list[Mistake]) -> BadSettings:
    lines = "\n".join(f"  {mistake}" for mistake in mistakes)
    facts = [
        {"file": m.file, "key": m.key, "given": m.given, "message": m.message} for m in mistakes
    ]
    return BadSettings(f"{len(mistakes)} mistake(s) in the settings:\n{lines}", {"mistakes": facts})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} is not TOML: {error}") from error


def _mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
