"""PURE: which folders a new session mounts, and where: those it names, and those of a home.

A folder whose name begins with a dot belongs into the home of its owner's sessions, and is mounted
there without being named.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from backendai.common.contracts.agent import MOUNTS_MAX
from backendai.common.faults import BadRequest, Fault, InvalidParams, VFolderNotFound
from backendai.common.mounts import HOME, find_clashes, parse_target
from backendai.common.paths import parse_relpath
from backendai.manager.vfolders.access import Operation, Seen, authorize, pick_seen
from backendai.manager.vfolders.allowed import AllowedHosts
from backendai.manager.vfolders.model import LISTED, Folder, Permission, require_ready

KEY_CHARS_MAX: Final = 64
# The allowed hosts of one's own folders, and of those of each project.
HostsByProject = Mapping[uuid.UUID | None, AllowedHosts]


@dataclass(frozen=True, slots=True)
class MountWish:
    """A folder by name or id, or a directory in it; `key` is how the request names it. None: the
    place and the permission that follow from the folder."""

    key: str
    reference: str
    subpath: str = "."
    target: str | None = None
    permission: Permission | None = None


@dataclass(frozen=True, slots=True)
class PlannedMount:
    """A folder at its place in the kernels of a session, with what they may there."""

    folder: Folder
    target: str
    permission: Permission
    subpath: str = "."


def read_wishes(config: Mapping[str, Any]) -> tuple[MountWish, ...]:
    """From `mounts`, `mount_map` and `mount_options`, and the like by ids. Raises InvalidParams."""
    targets = {**config.get("mount_map", {}), **config.get("mount_id_map", {})}
    options = config.get("mount_options", {})
    keys = dict.fromkeys([*config.get("mounts", ()), *config.get("mount_ids", ()), *targets])
    problems = {
        f"config.mount_options.{key[:KEY_CHARS_MAX]}": "no such folder is mounted"
        for key in options
        if key not in keys
    }
    wishes: list[MountWish] = []
    for key in keys:
        try:
            wishes.append(_read_wish(key, targets.get(key), options.get(key)))
        except BadRequest as fault:
            problems[_place(key)] = fault.detail
    if len(keys) > MOUNTS_MAX:
        problems["config.mounts"] = f"names {len(keys)} folders; at most {MOUNTS_MAX} are mounted"
    if problems:
        raise InvalidParams(facts=problems)
    return tuple(wishes)


def plan_mounts(
    wishes: Sequence[MountWish], seen: Sequence[Seen], allowed: HostsByProject
) -> tuple[PlannedMount, ...]:
    """What the session mounts. `seen` are the folders that its owner sees and that may be meant.

    Raises VFolderNotFound where folders are missing and nothing else is wrong, else InvalidParams
    (Forbidden, where that alone stands in the way) with all that is wrong.
    """
    planned: list[PlannedMount] = []
    faults: dict[str, Fault] = {}
    for wish in wishes:
        try:
            planned.append(_plan(wish, seen, allowed))
        except Fault as fault:
            faults[wish.key] = fault
    _raise_all(faults)
    _refuse_clashes(planned)
    return (*planned, *_plan_home(planned, seen, allowed))


def _read_wish(key: str, target: str | None, option: object) -> MountWish:
    reference, _, inside = key.partition("/")
    if not reference:
        raise BadRequest("names no folder")
    given = {} if option is None else option
    if not isinstance(given, Mapping):
        raise BadRequest("its mount option must be an object")
    if given.get("type") not in (None, "bind"):
        raise BadRequest(f"the type {given['type']!r} is not offered; write bind")
    return MountWish(
        key=key,
        reference=reference,
        subpath=str(parse_relpath(inside or _text(given.get("subpath"), "subpath") or ".")),
        target=None if target is None else parse_target(target),
        permission=_read_permission(given.get("permission")),
    )


def _text(value: object, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} must be a text")
    return value


def _read_permission(value: object) -> Permission | None:
    if value is None:
        return None
    try:
        return Permission(str(value))
    except ValueError:
        allowed = ", ".join(each.value for each in Permission)
        raise BadRequest(f"the permission {str(value)[:20]!r} is none of {allowed}") from None


def _plan(wish: MountWish, seen: Sequence[Seen], allowed: HostsByProject) -> PlannedMount:
    one = _pick(wish, seen)
    is_writing = wish.permission not in (None, Permission.READ_ONLY)
    operation = Operation.MOUNT_WRITABLE if is_writing else Operation.MOUNT
    folder = require_ready(authorize(one, operation, allowed[one.folder.project_id]))
    target = wish.target or parse_target(folder.name)
    permission = wish.permission or one.permission or Permission.READ_ONLY
    return PlannedMount(folder, target, permission, wish.subpath)


def _pick(wish: MountWish, seen: Sequence[Seen]) -> Seen:
    with suppress(ValueError):
        folder_id = uuid.UUID(wish.reference)
        return pick_seen([one for one in seen if one.folder.id == folder_id], wish.reference)
    named = [one for one in seen if one.folder.name == wish.reference]
    return pick_seen([one for one in named if one.folder.status in LISTED], wish.reference)


def _plan_home(
    named: Sequence[PlannedMount], seen: Sequence[Seen], allowed: HostsByProject
) -> Iterator[PlannedMount]:
    """Dot folders of the owner; what was named, or is mounted in their place, counts more."""
    targets = [mount.target for mount in named]
    is_named = {mount.folder.id for mount in named}
    for one in seen:
        folder = one.folder
        if not (folder.name.startswith(".") and one.is_owner and folder.id not in is_named):
            continue
        target = f"{HOME}/{folder.name}"
        with suppress(Fault):
            authorize(one, Operation.MOUNT, allowed[folder.project_id])
            require_ready(folder)
            if not any(len(targets) in pair for pair in find_clashes([*targets, target])):
                yield PlannedMount(folder, target, Permission.WRITE_DELETE)


def _refuse_clashes(planned: Sequence[PlannedMount]) -> None:
    clashes = {
        f"config.mount_map.{planned[other].folder.name}": f"{planned[other].target} overlaps with "
        f"{planned[one].target}, where {planned[one].folder.name} is mounted"
        for one, other in find_clashes([mount.target for mount in planned])
    }
    if clashes:
        raise InvalidParams(facts=clashes)


def _raise_all(faults: Mapping[str, Fault]) -> None:
    if not faults:
        return
    kinds = {type(fault) for fault in faults.values()}
    if kinds == {VFolderNotFound}:
        raise VFolderNotFound(", ".join(faults), {"folders": list(faults)})
    if len(faults) == 1:
        raise next(iter(faults.values()))
    told = {_place(key): fault.detail or fault.title for key, fault in faults.items()}
    raise InvalidParams(facts=told)


def _place(key: str) -> str:
    return f"config.mounts.{key[:KEY_CHARS_MAX]}"
