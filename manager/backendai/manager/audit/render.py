"""PURE: entries of the audit log for programs and as lines of a table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from backendai.manager.console import align

from .model import Entry

VALUE_CHARS_MAX: Final = 40
_HEAD: Final = ("AT", "WHO", "ACTION", "TARGET", "CHANGED")


def entry_object(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "request_id": entry.request_id,
        "user_id": str(entry.user_id),
        "email": entry.email,
        "access_key": entry.access_key,
        "as_email": entry.as_email,
        "as_access_key": entry.as_access_key,
        "action": entry.action,
        "target_kind": entry.target.kind,
        "target_id": entry.target.id,
        "domain": entry.target.domain,
        "before": entry.before,
        "after": entry.after,
    }


def entries_table(entries: Sequence[Entry]) -> list[str]:
    return align([_HEAD, *(_line(entry) for entry in entries)])


def _line(entry: Entry) -> tuple[str, ...]:
    who = f"{entry.email} as {entry.as_email}" if entry.as_email else entry.email
    target = f"{entry.target.kind} {entry.target.id}"
    changed = ", ".join(_changes(entry.before, entry.after))
    return (entry.at.isoformat(timespec="seconds"), who, entry.action, target, changed)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[str]:
    """What went and what came; a new or a purged object is told by its target alone."""
    if before and after:
        for name in sorted(before.keys() | after.keys()):
            yield f"{name}: {_short(before.get(name))} -> {_short(after.get(name))}"
    elif "members" in after or "members" in before:
        sign, values = ("+", after) if after else ("-", before)
        yield from (f"{sign}{email}" for email in values["members"])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8")
    text = "".join(each if each.isprintable() else " " for each in text)
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"
