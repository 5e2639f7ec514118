"""Files as `session ls` and `vfolder ls` show them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.results import FileEntry

COLUMNS: Final = ("mode", "size", "modified", "name")


def show_entries(entries: Sequence["FileEntry"], output: Output) -> None:
    rows = [
        {
            "mode": entry.mode,
            "size": entry.size,
            "modified": datetime.fromtimestamp(entry.mtime, UTC).isoformat(timespec="seconds"),
            "name": entry.filename,
        }
        for entry in entries
    ]
    show_rows(rows, COLUMNS, output)
