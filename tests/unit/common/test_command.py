"""`backendai` on a machine without the client: commands of the daemons that are installed."""

from importlib.metadata import EntryPoint

import pytest

from backendai.common.command import PLUGINS, run

POINTS = {"ag": EntryPoint("ag", "backendai.agent.cli:ag", PLUGINS)}


def test_help_names_the_commands_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"], POINTS) == 0
    assert "bring: ag." in capsys.readouterr().out


def test_without_words_it_tells_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([], {}) == 0
    assert "bring: none." in capsys.readouterr().out


def test_an_unknown_command_is_refused_with_what_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["mgr"], POINTS) == 2
    assert "'mgr'" in capsys.readouterr().err


def test_a_command_of_a_daemon_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["ag", "show-config"], POINTS)
    assert ended.value.code == 0
    assert "[agent]" in capsys.readouterr().out
