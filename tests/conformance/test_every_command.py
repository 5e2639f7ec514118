"""The table of commands is whole: held to the client's own tree, and to the tests that it names."""

import importlib
from collections import Counter
from typing import Final

import pytest

from tests.conformance.table import EXIT_CODES, FORMS, NOT_RUN, OUT_OF_SCOPE, RUN_BY, SDK_CALLS

SHARE_MIN: Final = 0.97
RUN: Final = [name for names in RUN_BY.values() for name in names]
LEFT_OUT: Final = [name for names in OUT_OF_SCOPE.values() for name in names]


def test_every_command_is_in_one_class(tree: dict[str, str]) -> None:
    times = Counter([*RUN, *LEFT_OUT, *NOT_RUN])
    known = {*tree.values(), *SDK_CALLS, *FORMS}
    assert not known - times.keys(), "in no class"
    assert not times.keys() - known, "the client has no such command"
    assert [name for name, count in times.items() if count > 1] == []
    assert EXIT_CODES.keys() <= set(RUN)


def test_the_tests_that_run_them_exist() -> None:
    for test in RUN_BY:
        file, _, name = test.partition("::")
        module = importlib.import_module(f"tests.conformance.{file.removesuffix('.py')}")
        assert callable(getattr(module, name)), test


@pytest.mark.parametrize("kind", ["commands", "calls"])
def test_nearly_all_are_run(tree: dict[str, str], kind: str) -> None:
    ours = set(tree.values() if kind == "commands" else SDK_CALLS) - set(LEFT_OUT)
    assert ours - set(RUN) == ours & NOT_RUN.keys()
    assert len(ours & set(RUN)) / len(ours) >= SHARE_MIN
