"""The pieces of the REPL that need no process of their own."""

import ast
import collections
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from backendai.kernel.runner import repl
from backendai.kernel.runner.repl import (
    BURST_LINES,
    Completer,
    Console,
    Displayer,
    Interrupts,
    Outlet,
)


class Recorder:
    """Stands where the console is and writes down what is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, object]] = []
        self.out = self

    def show(self, mime: str, data: object) -> None:
        self.shown.append((mime, data))

    def write(self, text: str) -> None:
        self.shown.append(("text/plain", text))


def test_the_source_suits_python_3_6() -> None:
    source = Path(repl.__file__).read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__ import annotations" not in source


def show(value: object) -> list[tuple[str, object]]:
    recorder = Recorder()
    Displayer(cast(Console, recorder), {}).show_result(value)
    return recorder.shown


class Rich:
    def __init__(self, **methods: Any) -> None:
        for name, value in methods.items():
            setattr(self, f"_repr_{name}_", lambda value=value: value)

    def __repr__(self) -> str:
        return "plain"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, []),
        (42, [("text/plain", "42\n")]),
        (Rich(html="<b>"), [("text/html", "<b>")]),
        (Rich(html="<b>", png=b"p"), [("image/png", b"p")]),
        (Rich(svg="<svg>"), [("image/svg+xml", "<svg>")]),
        (Rich(html=None), [("text/plain", "plain\n")]),
        (Rich, [("text/plain", f"{Rich!r}\n")]),
    ],
)
def test_a_value_shows_the_best_it_has(value: object, shown: list[tuple[str, object]]) -> None:
    assert show(value) == shown


def test_the_last_value_is_kept_as_underscore() -> None:
    namespace: dict[str, Any] = {}
    Displayer(cast(Console, Recorder()), namespace).show_result(5)
    assert namespace["_"] == 5


class Hostile:
    @property
    def trap(self) -> None:
        raise RuntimeError("never looked at")

    def __dir__(self) -> list[str]:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = coun", ["counter"]),
        ("counter.most_c", ["counter.most_common"]),
        ("counter.most_common.__fu", ["counter.most_common.__func__"]),
        ("counter.nothing.x", []),
        ("hostile.tr", []),
        ("hostile.trap.x", []),
        ("lam", ["lambda"]),
        ("isinst", ["isinstance"]),
        ("f(1)[", None),
    ],
)
def test_completion(text: str, expected: list[str] | None) -> None:
    completer = Completer({"counter": collections.Counter(), "hostile": Hostile()})
    found = completer.complete(text)
    assert found == expected if expected is not None else len(found) > 50


def test_private_names_are_offered_only_when_asked_for() -> None:
    completer = Completer({"counter": collections.Counter()})
    assert not [name for name in completer.complete("counter.") if "._" in name]
    assert "counter.__len__" in completer.complete("counter.__l")


def test_an_interrupt_waits_for_the_end_of_a_frame() -> None:
    interrupts = Interrupts()
    interrupts.is_active = True
    reached: list[int] = []

    def read_frame() -> None:
        with interrupts:
            interrupts._arrive(2, None)
            reached.append(1)

    with pytest.raises(KeyboardInterrupt):
        read_frame()
    assert reached == [1]


def test_an_interrupt_outside_of_user_code_is_ignored() -> None:
    interrupts = Interrupts()
    interrupts._arrive(2, None)
    with interrupts:
        interrupts._arrive(2, None)
    assert not interrupts.is_pending


class Wire(io.RawIOBase):
    """A pipe that writes down what each system call gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []
        self.is_broken = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.is_broken:
            raise BrokenPipeError
        self.calls.append(bytes(data))
        return len(data)

    @property
    def printed(self) -> bytes:
        return b"".join(self.calls)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def outlet(wire: Wire) -> Iterator[Outlet]:
    outlet = Outlet(cast(io.FileIO, wire), may_gather=True)
    yield outlet
    outlet.settle()


def say(outlet: Outlet, count: int) -> None:
    for _ in range(count):
        outlet.write(b"line\n")
        outlet.flush()


def await_printed(wire: Wire, size: int) -> None:
    deadline = time.monotonic() + 10
    while len(wire.printed) < size:
        assert time.monotonic() < deadline, f"{len(wire.printed)} of {size} bytes came"
        time.sleep(0.002)


def test_a_lone_line_goes_out_at_once(wire: Wire, outlet: Outlet) -> None:
    say(outlet, 3)
    assert wire.calls == [b"line\n"] * 3


def test_the_lines_of_a_burst_go_out_together(wire: Wire, outlet: Outlet) -> None:
    say(outlet, 50_000)
    outlet.flush_now()
    assert len(wire.printed) == 5 * 50_000
    assert len(wire.calls) < 10_000


def test_the_last_line_of_a_burst_waits_for_nobody(wire: Wire, outlet: Outlet) -> None:
    say(outlet, 20 * BURST_LINES)
    await_printed(wire, 5 * 20 * BURST_LINES)


def test_settling_leaves_no_thread_and_no_line_behind(wire: Wire, outlet: Outlet) -> None:
    say(outlet, 20 * BURST_LINES)
    outlet.settle()
    assert len(wire.printed) == 5 * 20 * BURST_LINES
    assert "output" not in [thread.name for thread in threading.enumerate()]


def test_without_a_word_before_forks_nothing_is_gathered(wire: Wire) -> None:
    outlet = Outlet(cast(io.FileIO, wire), may_gather=False)
    say(outlet, 20 * BURST_LINES)
    assert wire.calls == [b"line\n"] * 20 * BURST_LINES


def test_a_reader_that_left_in_a_burst_is_told_to_the_writer(wire: Wire, outlet: Outlet) -> None:
    say(outlet, 20 * BURST_LINES)
    wire.is_broken = True
    with pytest.raises(BrokenPipeError):
        say(outlet, 1_000_000)
    wire.is_broken = False
