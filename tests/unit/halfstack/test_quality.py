"""Kinds of tests: chosen, run in a small project, counted."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from backendai.halfstack import cli
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.quality import (
    KINDS,
    Outcome,
    choose_kinds,
    find_python,
    list_packages,
    render_summary,
    run_kinds,
)

_FAILS_ONCE = """\
from pathlib import Path
def test_a():
    seen = Path(__file__).with_name("seen")
    was_seen = seen.exists()
    seen.touch()
    assert was_seen
"""


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small projects need none, and some take seconds to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


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


def _write_e2e(root: Path, body: str) -> None:
    (root / "tests/e2e").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (root / "tests/e2e/test_x.py").write_text(body)


def test_what_fails_only_once_is_told_as_unsteady(tmp_path: Path) -> None:
    _write_e2e(tmp_path, _FAILS_ONCE)
    (outcome,) = run_kinds(tmp_path, ["e2e"], [])
    assert outcome.is_ok
    assert outcome.counts == "0 passed, 1 failures, UNSTEADY: passed when run again"


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    _write_e2e(tmp_path, "def test_a(): assert False\n")
    (outcome,) = run_kinds(tmp_path, ["e2e"], [])
    assert not outcome.is_ok
    assert "failed again" in outcome.counts


def test_a_missing_kind_is_a_failure(tmp_path: Path) -> None:
    (outcome,) = run_kinds(tmp_path, ["sim"], [])
    assert not outcome.is_ok
    assert "missing" in outcome.counts


def test_the_summary_has_every_kind() -> None:
    text = render_summary([Outcome("unit", True, 1.0, "3 passed"), Outcome("e2e", False, 2.0)])
    assert "✓ unit" in text
    assert "✗ e2e" in text


def _make_python(folder: Path, status: int) -> Path:
    folder.mkdir(parents=True)
    program = folder / "python3.99"
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)
    return program


def test_a_shim_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = _make_python(tmp_path / "shims", 127)
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_python("3.99") is None
    real = _make_python(tmp_path / "versions" / "3.99.1" / "bin", 0)
    assert find_python("3.99") == real


def test_integration_runs_each_folder_by_itself(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    for place in ("agent", "manager/api"):
        (tmp_path / "tests/integration" / place).mkdir(parents=True)
        (tmp_path / "tests/integration" / place / "test_x.py").write_text("def test_a(): pass\n")
    outcomes = run_kinds(tmp_path, ["integration"], ["-q"])
    assert [(one.name, one.counts) for one in outcomes] == [
        ("integration/agent", "1 passed"),
        ("integration/manager", "1 passed"),
    ]


def test_parts_beside_each_other_are_told_in_order_and_tried_again_apart(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    for place in ("integration/agent", "integration/client", "e2e"):
        (tmp_path / "tests" / place).mkdir(parents=True)
        (tmp_path / "tests" / place / "test_x.py").write_text(_FAILS_ONCE)
    outcomes = run_kinds(tmp_path, ["integration", "e2e"], [], 3)
    assert [one.name for one in outcomes] == ["integration/agent", "integration/client", "e2e"]
    assert {one.counts for one in outcomes} == {
        "0 passed, 1 failures, UNSTEADY: passed when run again"
    }


def test_the_longest_parts_begin_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for place in ("tidy", "unit", "e2e"):
        (tmp_path / "tests" / place).mkdir(parents=True)
    run_kinds(tmp_path, ["tidy", "unit", "e2e"], [], 2)
    begun = re.findall(r"── (\w+) begins", capfd.readouterr().out)
    assert begun == ["e2e", "unit", "tidy"]


def test_a_run_that_broke_off_is_not_made_up_by_a_second(tmp_path: Path) -> None:
    _write_e2e(tmp_path, "def test_a(): pass\n")
    (tmp_path / "tests/e2e/conftest.py").write_text(
        "from pathlib import Path\n"
        "def pytest_runtest_protocol():\n"
        "    seen = Path(__file__).with_name('seen')\n"
        "    if not seen.exists():\n"
        "        seen.touch()\n"
        "        raise RuntimeError('the runner itself')\n"
        "def pytest_sessionfinish(session):\n"
        "    session.exitstatus = 1\n"
    )
    (outcome,) = run_kinds(tmp_path, ["e2e"], [])
    assert not outcome.is_ok


def test_options_after_the_kinds_go_to_pytest(tmp_path: Path) -> None:
    for kind in ("tidy", "contract"):
        (tmp_path / "tests" / kind).mkdir(parents=True)
        text = "def test_a(): pass\ndef test_b(): assert False\n"
        (tmp_path / "tests" / kind / "test_x.py").write_text(text)
    words = ["--lanes", "2", "tidy", "contract", "--", "-k", "test_a"]
    done = CliRunner().invoke(cli.test, words, env={"BAI_ROOT": str(tmp_path)})
    assert done.exit_code == 0, done.output
    assert done.output.count("1 passed\n") == 2


def test_a_number_of_lanes_that_is_none_is_refused() -> None:
    done = CliRunner().invoke(cli.test, ["tidy"], env={"BAI_TEST_LANES": "0"})
    assert done.exit_code == 2
    assert "--lanes" in done.output
