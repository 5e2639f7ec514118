"""Kinds of tests: chosen, run in a small project, counted."""

from pathlib import Path

import pytest

from backendai.halfstack.faults import SetupFault
from backendai.halfstack.quality import (
    KINDS,
    Outcome,
    choose_kinds,
    list_packages,
    render_summary,
    run_kinds,
)


@pytest.mark.parametrize("asked", [(), ("all",), ("all", "unit")])
def test_all_kinds_are_the_default(asked: tuple[str, ...]) -> None:
    assert choose_kinds(asked) == list(KINDS)


def test_chosen_kinds_run_in_the_order_of_cost() -> None:
    assert choose_kinds(["e2e", "unit"]) == ["unit", "e2e"]


def test_a_word_that_is_no_kind_is_refused_with_the_kinds() -> None:
    with pytest.raises(SetupFault, match="browser") as caught:
        choose_kinds(["browser"])
    assert "conformance" in caught.value.fix


def test_packages_of_all_members_are_listed(tmp_path: Path) -> None:
    text = '[tool.uv.workspace]\nmembers = ["src/common", "agent"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "src/common/backendai/common").mkdir(parents=True)
    (tmp_path / "agent/backendai/agent").mkdir(parents=True)
    (tmp_path / "agent/backendai/__pycache__").mkdir()
    assert list_packages(tmp_path) == ["backendai.common", "backendai.agent"]


def test_outcomes_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "test_x.py").write_text("def test_a(): pass\ndef test_b(): assert False\n")
    (outcome,) = run_kinds(tmp_path, ["unit"], ["-q", "-p", "no:cacheprovider"])
    assert (outcome.is_ok, outcome.counts) == (False, "1 passed, 1 failures")


def test_a_missing_kind_is_a_failure(tmp_path: Path) -> None:
    (outcome,) = run_kinds(tmp_path, ["sim"], [])
    assert not outcome.is_ok
    assert "missing" in outcome.counts


def test_the_summary_has_every_kind() -> None:
    text = render_summary([Outcome("unit", True, 1.0, "3 passed"), Outcome("e2e", False, 2.0)])
    assert "✓ unit" in text
    assert "✗ e2e" in text
