"""The other way round: a sample TOML file and a reference page, both generated from a tree."""

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from .checks import HostPort
from .fields import Section, Setting, entries


def render_sample(tree: type[Any], daemon: str) -> str:
    """TOML with every setting, its description and its default; required ones have examples."""
    lines = [
        f"# Settings of the {daemon}. Every value shown is the default, unless marked required.",
        *_sample_lines(tree, ()),
    ]
    return "\n".join(lines) + "\n"


def render_reference(tree: type[Any], daemon: str) -> str:
    """A Markdown page: one table of settings for each section."""
    return "\n".join([f"# Settings of the {daemon}", *_reference_lines(tree, ())]) + "\n"


def render_toml(data: Mapping[str, Any]) -> str:
    """Nested plain values as TOML. None leaves a key out."""
    return "\n".join(_table_lines(data, ())).strip() + "\n"


def toml_value(value: Any) -> str:
    """A value as it stands behind `=`."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case HostPort():
            return toml_value({"host": value.host, "port": value.port})
        case Mapping():
            pairs = [f"{_toml_key(key)} = {toml_value(inner)}" for key, inner in value.items()]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(toml_value(inner) for inner in value)}]"
        case str() | PurePath():
            # A JSON string is a TOML basic string, once DEL is escaped as well.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case None:
            return '""'
    raise TypeError(f"TOML has no form for {type(value).__name__}")


def _sample_lines(tree: type[Any], path: tuple[str, ...]) -> Iterator[str]:
    found = list(entries(tree))
    own = [entry for entry in found if isinstance(entry, Setting)]
    if path and own:
        yield from ("", *_comment(tree), f"[{'.'.join(path)}]")
    for setting in own:
        yield from _sample_setting(setting)
    for entry in found:
        if isinstance(entry, Section):
            yield from _sample_lines(entry.tree, (*path, entry.key))


def _sample_setting(entry: Setting) -> Iterator[str]:
    unit = f" [{entry.unit}]" if entry.unit else ""
    required = "Required. " if entry.is_required else ""
    env = f" The variable {entry.env} overrides it." if entry.env else ""
    yield f"# {required}{entry.doc}{unit}: {entry.check.allowed}.{env}"
    yield f"{entry.key} = {toml_value(_shown_value(entry))}"


def _shown_value(entry: Setting) -> Any:
    return entry.example if entry.is_required else entry.default


def _comment(tree: type[Any]) -> list[str]:
    return [f"# {line.strip()}" for line in (tree.__doc__ or "").strip().splitlines()]


def _reference_lines(tree: type[Any], path: tuple[str, ...]) -> Iterator[str]:
    found = list(entries(tree))
    own = [entry for entry in found if isinstance(entry, Setting)]
    if own:
        head = f"`[{'.'.join(path)}]`" if path else "At the top"
        yield from ("", f"## {head}", "", (tree.__doc__ or "").strip(), "")
        yield from ("| key | default | allowed | |", "|---|---|---|---|")
        yield from (_reference_row(entry) for entry in own)
    for entry in found:
        if isinstance(entry, Section):
            yield from _reference_lines(entry.tree, (*path, entry.key))


def _reference_row(entry: Setting) -> str:
    default = "required" if entry.is_required else f"`{toml_value(entry.default)}`"
    env = f" Overridden by `{entry.env}`." if entry.env else ""
    unit = f" ({entry.unit})" if entry.unit else ""
    cells = (f"`{entry.key}`", default, entry.check.allowed, f"{entry.doc}{unit}.{env}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table_lines(data: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in data.items() if not isinstance(value, Mapping)}
    if path and (plain or not data):
        yield from ("", f"[{'.'.join(_toml_key(part) for part in path)}]")
    for key, value in plain.items():
        if value is not None:
            yield f"{_toml_key(key)} = {toml_value(value)}"
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _table_lines(value, (*path, key))


def _toml_key(key: str) -> str:
    is_bare = bool(key) and key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if is_bare else toml_value(key)
