"""Before something is gone the manager's commands ask; who cannot be asked must be sure."""

import io
import sys

import click
import pytest

from backendai.manager.console import ask_consent


class Typed(io.StringIO):
    """A terminal with what somebody types."""

    def isatty(self) -> bool:
        return True


def test_without_a_terminal_one_has_to_be_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ask_consent("Delete?", is_sure=True)
    with pytest.raises(click.UsageError, match="give --yes"):
        ask_consent("Delete?", is_sure=False)


def test_only_a_yes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Typed("y\nn\n"))
    ask_consent("Delete?", is_sure=False)
    with pytest.raises(click.ClickException, match="Nothing was changed"):
        ask_consent("Delete?", is_sure=False)
