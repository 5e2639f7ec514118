"""Tables for people, JSON and CSV for programs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Output = Literal["table", "json", "csv"]
Row = Mapping[str, Any]


def show_rows(rows: Sequence[Row], columns: Sequence[str], output: Output) -> None:
    """Writes rows to stdout; a terminal gets a table with colours and lines."""
    if output == "table" and sys.stdout.isatty():
        _print_rich(rows, columns)
        return
    for line in format_rows(rows, columns, output):
        sys.stdout.write(line + "\n")


def show_object(facts: Mapping[str, Any], output: Output) -> None:
    """Writes one object: `name  value` lines, a JSON object, or CSV with one row."""
    if output == "csv":
        show_rows([facts], list(facts), output)
    elif output == "json":
        sys.stdout.write(_json(facts) + "\n")
    else:
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            sys.stdout.write(f"{name:<{width}}  {cell(value)}\n")


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
    lines = [[name.upper().replace("_", " ") for name in columns]]
    lines += [[cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


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


def _print_rich(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name.upper().replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(name))) for name in columns))
    Console().print(table)
