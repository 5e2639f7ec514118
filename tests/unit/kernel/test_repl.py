"""The pieces of the REPL that need no process of their own."""

import ast
import collections
from pathlib import Path
from typing import Any, cast

import pytest

from backendai.kernel.runner import repl
from backendai.kernel.runner.repl import Completer, Console, Displayer, Interrupts


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
