"""What a sync has to do, decided from what is at both ends. PURE."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from backendai.client.faults import BadUsage
from backendai.client.vfolders.trees import Entry, Kind, Tree

# File systems and listings round times; what is newer by less is as old.
NEWER_SECONDS: Final = 0.001


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Paths, relative to the two tops. First `replaced` goes (a file where a directory comes, or
    the other way round), then `directories` and `copies` come, at last `deletions` go. A deleted
    directory stands for all in it. `skipped` is of a kind that is never copied."""

    replaced: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    deletions: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    size_bytes: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.replaced or self.directories or self.copies or self.deletions)


def plan_sync(
    source: Tree, target: Tree, *, deletes: bool = False, same: Collection[str] | None = None
) -> SyncPlan:
    """Makes `target` have what `source` has, and with `deletes` nothing else.

    A file is copied when it is missing, has another size, or is newer in the source; with `same`,
    the files whose content was found to be the same, when it is not among these. Raises BadUsage
    for a file in the place of a directory, or the other way round, unless `deletes`.
    """
    clashes = [path for path in source if _clashes(source[path], target.get(path))]
    if clashes and not deletes:
        raise BadUsage(
            f"{clashes[0]} is a directory on one side and none on the other; --delete replaces it."
        )
    gone_first = frozenset(clashes)
    left = {path: entry for path, entry in target.items() if not _is_below(path, gone_first)}
    copies = tuple(
        path
        for path, entry in source.items()
        if entry.kind is Kind.FILE and _differs(path, entry, left.get(path), same)
    )
    kept = {path: entry for path, entry in source.items() if entry.kind is Kind.OTHER}
    gone = (path for path in left if path not in source and not _is_below(path, kept))
    return SyncPlan(
        replaced=tuple(clashes),
        directories=tuple(
            path
            for path, entry in source.items()
            if entry.kind is Kind.DIRECTORY and path not in left
        ),
        copies=copies,
        deletions=tuple(_topmost(gone)) if deletes else (),
        skipped=tuple(kept),
        size_bytes=sum(source[path].size for path in copies),
    )


def to_compare(source: Tree, target: Tree) -> list[str]:
    """Files at both ends of which only the content tells whether they are the same."""
    return [
        path
        for path, entry in source.items()
        if entry.kind is Kind.FILE
        and (other := target.get(path)) is not None
        and (other.kind, other.size) == (Kind.FILE, entry.size)
    ]


def _differs(path: str, entry: Entry, other: Entry | None, same: Collection[str] | None) -> bool:
    if other is None or other.kind is not Kind.FILE or other.size != entry.size:
        return True
    if same is not None:
        return path not in same
    return entry.mtime > other.mtime + NEWER_SECONDS


def _clashes(entry: Entry, other: Entry | None) -> bool:
    if other is None or entry.kind is Kind.OTHER:
        return False
    return (entry.kind is Kind.DIRECTORY) != (other.kind is Kind.DIRECTORY)


def _is_below(path: str, tops: Collection[str]) -> bool:
    """Whether it is one of `tops`, or in one."""
    parts = path.split("/")
    return any("/".join(parts[:count]) in tops for count in range(1, len(parts) + 1))


def _topmost(paths: Iterator[str]) -> Iterator[str]:
    """Without what is in a directory that is named too; that comes first."""
    seen: set[str] = set()
    for path in paths:
        if not _is_below(path, seen):
            seen.add(path)
            yield path
