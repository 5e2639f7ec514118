"""Tables for people, JSON and CSV for programs."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TextIO

Output = Literal["table", "json", "csv"]
Row = Mapping[str, Any]

GAP: Final = "  "
COLUMN_LETTERS_MIN: Final = 4
CLEAR_LINE: Final = "\r\x1b[K"
BOLD: Final = "\x1b[1m{}\x1b[0m"
COLOURED: Final = "\x1b[{}m{}\x1b[0m"
STATUS_COLOURS: Final = {
    "RUNNING": 32,
    "RUNNING_DEGRADED": 33,
    "ERROR": 31,
    "TERMINATED": 2,
    "CANCELLED": 2,
    "active": 32,
    "inactive": 2,
    "deleted": 2,
}
STATUS_COLOUR: Final = 33


def show_rows(rows: Sequence[Row], columns: Sequence[str], output: Output) -> None:
    """Writes rows to stdout; a terminal gets a table that fits it, with a head that stands out."""
    is_seen = output == "table" and is_terminal(sys.stdout)
    lines = _terminal_lines(rows, columns) if is_seen else format_rows(rows, columns, output)
    for line in lines:
        sys.stdout.write(line + "\n")


def show_lines(lines: Iterable[tuple[str, str]], indent: int = 0) -> None:
    """Writes `name  text` lines, the texts below each other."""
    listed = list(lines)
    width = max((len(name) for name, _ in listed), default=0)
    for name, text in listed:
        sys.stdout.write(f"{' ' * indent}{name:<{width}}  {cell(text)}\n")


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks who can see lines redrawn and letters stand out."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def show_object(facts: Mapping[str, Any], output: Output) -> None:
    """Writes one object: `name  value` lines, a JSON object, or CSV with one row."""
    if output == "csv":
        show_rows([facts], list(facts), output)
    elif output == "json":
        sys.stdout.write(_json(facts) + "\n")
    else:
        show_lines((name, cell(value)) for name, value in facts.items())


def format_rows(rows: Sequence[Row], columns: Sequence[str], output: Output) -> Iterable[str]:
    """Lines without ends. A table that is not for a terminal is aligned by blanks."""
    if output == "json":
        return [_json([{name: row.get(name) for name in columns} for row in rows])]
    if output == "csv":
        return _csv_lines(rows, columns)
    return _aligned_lines(rows, columns)


def cell(value: Any) -> str:
    """One line of text without control characters."""
    if value is None:
        return "-"
    if isinstance(value, dict | list):
        return _json(value, indent=0)
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def _aligned_lines(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    table = _cells(rows, columns)
    widths = _widths(table)
    return [GAP.join(map(str.ljust, line, widths)).rstrip() for line in table]


def _terminal_lines(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[str]:
    """Lines no wider than the terminal: what does not fit ends in `…`."""
    table = _cells(rows, columns)
    room = count_columns() - len(GAP) * (len(columns) - 1)
    widths = fit_widths(_widths(table), room)
    for number, line in enumerate(table):
        texts = [cut(text, width).ljust(width) for text, width in zip(line, widths, strict=True)]
        yield GAP.join(_coloured(texts, columns, is_head=number == 0)).rstrip()


def count_columns() -> int:
    """How many letters a line of the terminal has room for."""
    from shutil import get_terminal_size  # brings every packer of archives with it

    return get_terminal_size().columns


def fit_widths(widths: Sequence[int], room: int) -> list[int]:
    """Widths that sum up to `room` at most where that is possible: the widest give way first."""
    fitted = list(widths)
    while sum(fitted) > room and max(fitted) > COLUMN_LETTERS_MIN:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _coloured(texts: Sequence[str], columns: Sequence[str], *, is_head: bool) -> list[str]:
    if os.environ.get("NO_COLOR"):
        return [*texts]
    if is_head:
        return [BOLD.format(text) for text in texts]
    return [
        COLOURED.format(STATUS_COLOURS.get(text.strip(), STATUS_COLOUR), text)
        if name == "status"
        else text
        for name, text in zip(columns, texts, strict=True)
    ]


def _cells(rows: Sequence[Row], columns: Sequence[str]) -> list[list[str]]:
    head = [name.upper().replace("_", " ") for name in columns]
    return [head, *([cell(row.get(name)) for name in columns] for row in rows)]


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def _csv_lines(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue().splitlines()


def _csv_cell(value: Any) -> Any:
    return _json(value, indent=0) if isinstance(value, dict | list) else value


def _json(value: Any, indent: int = 2) -> str:
    from msgspec import json

    return json.format(json.encode(value), indent=indent).decode()
