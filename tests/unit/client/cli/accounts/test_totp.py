"""`backendai totp`: what is asked of the server, what is shown, and what is asked of people."""

import json

from backendai.common.faults import AuthFailed
from tests.unit.client.cli.conftest import Commands

KEY = {"totp_key": "JBSWY3DP", "totp_uri": "otpauth://totp/x?secret=JBSWY3DP"}


def test_whether_it_is_on_is_shown(commands: Commands) -> None:
    at = "2026-01-01T00:00:00+00:00"
    commands.transport.replies["GET /totp"] = {"totp_activated": True, "totp_activated_at": at}
    done = commands.run("totp", "status", "--output", "json")
    assert json.loads(done.stdout) == {"active": True, "activated_at": at}


def test_the_key_is_shown_before_a_code_of_it_is_asked_for(commands: Commands) -> None:
    commands.transport.replies |= {"POST /totp": KEY, "POST /totp/verify": {}}
    done = commands.run("totp", "enable", typed="123456\n")
    assert (done.exit_code, done.stdout) == (0, f"{KEY['totp_uri']}\n{KEY['totp_key']}\n")
    assert commands.transport.asked[-1] == ("POST /totp/verify", {"otp": "123456"})


def test_a_wrong_code_switches_nothing_on(commands: Commands) -> None:
    refused = AuthFailed("The one-time code is not right.")
    commands.transport.replies |= {"POST /totp": KEY, "POST /totp/verify": refused}
    done = commands.run("totp", "enable", typed="1\n")
    assert isinstance(done.exception, AuthFailed)
    assert "from now on" not in done.stderr


def test_it_is_switched_off_by_a_code(commands: Commands) -> None:
    commands.transport.replies["DELETE /totp"] = {}
    for words, typed in ((("--otp", "654321"), ""), ((), "654321\n")):
        assert commands.run("totp", "disable", *words, typed=typed).exit_code == 0
        assert commands.transport.asked[-1] == ("DELETE /totp", {"otp": "654321"})
    assert commands.run("totp", "disable").exit_code == 2


def test_an_administrator_removes_lost_devices(commands: Commands) -> None:
    commands.transport.replies["DELETE /totp"] = {}
    assert commands.run("admin", "user", "reset-totp", "a@b.c", "d@e.f").exit_code == 0
    assert [given for _, given in commands.transport.asked] == [
        {"email": "a@b.c"},
        {"email": "d@e.f"},
    ]
