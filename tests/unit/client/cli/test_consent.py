"""Asking before something is gone: who cannot be asked must be sure."""

import io
import sys

import click
import pytest

from backendai.client.cli.consent import ask_consent
from backendai.client.cli.secrecy import make_password, read_password


class Typed(io.StringIO):
    """A terminal with what somebody types."""

    def isatty(self) -> bool:
        return True


def test_who_is_sure_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(""))
    ask_consent("Remove?", is_sure=True)


def test_without_a_terminal_one_has_to_be_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(click.UsageError, match="give --yes"):
        ask_consent("Remove?", is_sure=False)


@pytest.mark.parametrize("answer", ["n", ""])
def test_a_no_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(f"{answer}\n"))
    with pytest.raises(SystemExit) as caught:
        ask_consent("Remove?", is_sure=False)
    assert caught.value.code == 1
    assert capsys.readouterr().err.endswith("Nothing was changed.\n")


def test_a_yes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Typed("y\n"))
    ask_consent("Remove?", is_sure=False)


def test_passwords_come_from_a_variable_or_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "from there")
    assert read_password("SOME_PASSWORD", "Password") == "from there"
    monkeypatch.setattr(sys, "stdin", io.StringIO("one \ntwo"))
    assert [read_password(None, "Password") for _ in range(2)] == ["one ", "two"]
    with pytest.raises(click.UsageError, match="line of stdin"):
        read_password(None, "Password")
    with pytest.raises(click.UsageError, match="NO_SUCH_PASSWORD is not set"):
        read_password("NO_SUCH_PASSWORD", "Password")
    assert make_password() != make_password()
