"""The table of commands with a newer official client: `python -m tests.conformance.newer`.

Runs the tests of this folder with release 25.5.2, which wants Python 3.12, and prints how each
command and call ended. Words after it go to pytest, such as `-k account_commands`. It brings up an
instance of its own unless BAI_TEST_STACK names one. No part of `./bai test`: it takes as long as
the same tests with the main release.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.calls import Calls
from tests.conformance.environment import make_client
from tests.conformance.releases import NEWER, VARIABLE
from tests.conformance.table import EXIT_CODES, OUT_OF_SCOPE, RUN_BY

# Held to the tree of the main release.
LEFT_OUT: Final = "test_every_command.py"
BROKEN: Final = "broken client-side"
WIDTH: Final = 160


@dataclass(frozen=True)
class Tried:
    """A test that ran: what it asked, in order, and why it failed; no reason is a pass."""

    made: tuple[tuple[str, int], ...]
    why: str

    @property
    def last(self) -> str:
        """Where it failed, if it did."""
        return self.made[-1][0] if self.made else ""


@dataclass
class Ledger:
    """What became of each test: a plugin of pytest. Of several runs of one the worst counts."""

    tried: dict[str, Tried] = field(default_factory=dict)

    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]) -> None:
        known = f"{item.path.name}::{item.originalname}"
        if known in self.tried and self.tried[known].why:
            return
        if call.when == "call" or call.excinfo:
            asked = getattr(item, "funcargs", {}).get("calls", Calls({}))
            why = shorten(str(call.excinfo.value)) if call.excinfo else ""
            self.tried[known] = Tried(tuple(asked.made), why)


def shorten(text: str) -> str:
    """What was done, and the first word of what went wrong with it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = next((line for line in lines[1:] if "rror" in line), "")
    return " … ".join(filter(None, (lines[0], wrong))) if lines else "no reason is given"


@dataclass(frozen=True)
class Row:
    name: str
    code: int | None
    verdict: str
    is_ok: bool


def list_rows(tried: dict[str, Tried]) -> Iterator[Row]:
    """A row for each command of the table whose test ran, and for each failure beside them."""
    for test, found in tried.items():
        claimed = RUN_BY.get(test, ())
        yield from (judge(name, found) for name in claimed)
        if found.why and found.last not in claimed:
            yield Row(test, None, f"FAILED: {found.why}", is_ok=False)


def judge(name: str, found: Tried) -> Row:
    wanted = EXIT_CODES.get(name, 0)
    is_made = (name, wanted) in found.made
    code = wanted if is_made else dict(found.made).get(name)
    if found.why and name in NEWER.broken:
        return Row(name, code, f"{BROKEN}: {NEWER.broken[name]}", is_ok=True)
    if found.why and found.last == name:
        return Row(name, code, f"FAILED: {found.why}", is_ok=False)
    if is_made:
        return Row(name, code, "ok", is_ok=True)
    return Row(name, code, f"NOT RUN: its test failed at {found.last!r}", is_ok=False)


def render(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        code = "-" if row.code is None else row.code
        yield f"{code:>4}  {row.name:<52}{row.verdict}"[:WIDTH]
    good = sum(row.is_ok for row in rows)
    broken = sum(row.verdict.startswith(BROKEN) for row in rows)
    yield f"{good - broken} of {len(rows)} as the table says, {broken} {BROKEN}"
    for part, names in OUT_OF_SCOPE.items():
        yield f"{len(names)} of {part} are not asked yet"


def main(words: list[str]) -> int:
    os.environ[VARIABLE] = NEWER.version
    try:
        make_client(NEWER)
    except LookupError as error:
        print(f"backend.ai-client {error}")
        return 1
    ledger = Ledger()
    options = [f"--ignore-glob=*/{LEFT_OUT}", "-p", "no:cacheprovider"]
    pytest.main([str(Path(__file__).parent), *options, *words], plugins=[ledger])
    rows = list(list_rows(ledger.tried))
    print(f"\nbackend.ai-client {NEWER.version}", *render(rows), sep="\n")
    return 0 if rows and all(row.is_ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
