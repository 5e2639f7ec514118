"""PURE: what an archive says of itself, the names of its members, and which archives can be used.

The manifest is the last member, so that an archive which was cut off has none.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from backendai.common.faults import Fault, Kind
from backendai.manager.db.revision import Schema, find_misfit

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
PAIRS: Final = "etcd.json"
KEYS: Final = "keys/"
TABLES: Final = "tables/"
# The keys of a manager that an archive may hold.
SECRET_KEY: Final = "secret-key"  # noqa: S105 - the name of a member
RPC_KEYPAIR: Final = "rpc-keypair"
CHUNK_BYTES: Final = 4 << 20


class BackupRefused(Fault):
    """Raised before anything is touched, or with everything undone."""

    kind, code = Kind.CONFLICT, "backup.refused"
    slug, title = "backup-refused", "Nothing was changed."


class RestoreUnfinished(Fault):
    """Rows are restored; what comes after them is not. Doing it again is right."""

    code = "backup.unfinished"
    slug, title = "backup-unfinished", "The restore is not finished."


class Counter(msgspec.Struct, frozen=True):
    """Where the numbers of an identity column are."""

    last: int
    is_used: bool


class TableEntry(msgspec.Struct, frozen=True):
    """A table as it is in the archive: text of COPY, cut into members without regard to rows."""

    name: str
    columns: list[str]
    rows: int
    chunks: int
    counters: dict[str, Counter]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`tables` are in the order in which rows can be inserted. `sums` are SHA-256 of members.

    `key_id` names the key that sealed what is sealed in the rows; empty when it was not at hand.
    """

    format: int
    release: str
    revision: str
    taken_at: datetime
    namespace: str
    key_id: str
    tables: list[TableEntry]
    sums: dict[str, str]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def keys(self) -> list[str]:
        return sorted(name.removeprefix(KEYS) for name in self.sums if name.startswith(KEYS))


class _Marked(msgspec.Struct, frozen=True):
    format: int


def chunk_names(table: str, count: int) -> Iterator[str]:
    return (f"{TABLES}{table}/{number:06}" for number in range(1, count + 1))


def decode_manifest(data: bytes) -> Manifest:
    """Raises BackupRefused for one of another format, or one that does not fit its own members."""
    try:
        found = msgspec.json.decode(data, type=_Marked).format
        if found != FORMAT:
            raise BackupRefused(
                f"The archive is of format {found}, this release reads {FORMAT}: "
                "restore it with the release that wrote it."
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise BackupRefused(f"The archive's manifest cannot be read: {error}.") from error
    due = {PAIRS, *(KEYS + name for name in manifest.keys)}
    due |= {name for table in manifest.tables for name in chunk_names(table.name, table.chunks)}
    if due != manifest.sums.keys():
        raise BackupRefused("The archive's manifest contradicts itself.")
    return manifest


def find_damage(due: dict[str, str], found: dict[str, str]) -> str:
    """What is wrong with members whose sums are `found`; empty when all are as they were."""
    for name in sorted(due.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if name not in due:
            return f"{name} does not belong there"
        if due[name] != found[name]:
            return f"{name} has changed"
    return ""


def refuse_revision(archived: str, known: Sequence[str]) -> None:
    """`known` are the revisions of this release, oldest first. Raises BackupRefused for another."""
    if archived not in known:
        raise BackupRefused(
            f"The archive is at schema revision {archived}, this release knows {known[0]} to "
            f"{known[-1]}: install the release that wrote the archive, or a newer one, and run "
            "this again."
        )


def refuse_target(current: Schema | None, release: str) -> None:
    """Raises BackupRefused for a database of another release; one without tables is welcome.

    Also for later tables that this release works with: it would leave out what it does not know.
    """
    if current is None or current.revision == release:
        return
    misfit = find_misfit(current, release)
    if misfit is None or current.revision > release:
        raise BackupRefused(
            f"The database is at revision {current.revision}, this release is of {release}: back "
            "up and restore with the program of the release that the database is of."
        )
    raise BackupRefused(f"{misfit.told.capitalize()}: {misfit.fix}.")


def refuse_filled(names: Iterable[str], what: str) -> None:
    """Raises BackupRefused where there is something; `what` says what the names are."""
    filled = sorted(names)
    if filled:
        told = ", ".join(filled[:8]) + (", …" if len(filled) > 8 else "")
        raise BackupRefused(
            f"{what} ({told}): restore into an empty control plane, or give --replace, "
            "which removes what is there."
        )
