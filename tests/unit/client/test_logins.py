"""Logins at webservers: what is sent, what is kept, and where."""

import stat
from pathlib import Path

import msgspec
import pytest

from backendai.client.channel import Call, Channel
from backendai.client.config import SESSION, Config
from backendai.client.login_file import LoginFile
from backendai.client.logins import OtpWanted, log_in, log_out
from backendai.client.transport import Answer
from backendai.common.faults import AuthFailed, RateLimited, to_problem
from tests.unit.client.scripted import ScriptedTransport

HERE = ("http://h:8090",)
CONFIG = Config(HERE, kind=SESSION)


def refused(details: str) -> Answer:
    body = {"authenticated": False, "data": {"type": "t", "title": "No.", "details": details}}
    return Answer(200, body=msgspec.json.encode(body))


async def test_a_login_gives_a_token_that_requests_bear() -> None:
    body = msgspec.json.encode({"authenticated": True, "data": {}})
    for headers in (
        {"x-backendai-sessionid": "token"},
        {"set-cookie": "AIOHTTP_SESSION=token; HttpOnly; Path=/"},
    ):
        transport = ScriptedTransport([Answer(200, headers, body)])
        config = await log_in(CONFIG, "ann", "secret", transport=transport)
        assert config.token == "token"
        sent = transport.sent[0]
        assert (sent.target, "Cookie" in sent.headers) == ("/server/login", False)
        assert msgspec.json.decode(sent.body) == {"username": "ann", "password": "secret"}
        channel = Channel(config, transport)
        await channel.ask(Call(method="GET", path="/session/x"))
        sent = transport.sent[1]
        assert sent.target == "/func/session/x"
        assert sent.headers["Cookie"] == "AIOHTTP_SESSION=token"
        assert "Authorization" not in sent.headers


async def test_refusals_are_told_apart() -> None:
    for answer, fault in (
        (refused("User credential mismatch."), AuthFailed),
        (refused("OTP not provided"), OtpWanted),
        (Answer(429, body=msgspec.json.encode(to_problem(RateLimited("Wait.")))), RateLimited),
    ):
        with pytest.raises(fault):
            await log_in(CONFIG, "ann", "secret", transport=ScriptedTransport([answer]))


async def test_logging_out_where_the_login_is_over_is_no_fault() -> None:
    answer = Answer(401, body=msgspec.json.encode(to_problem(AuthFailed())))
    await log_out(CONFIG, transport=ScriptedTransport([answer]))


def test_tokens_are_the_owners_alone_and_by_address(tmp_path: Path) -> None:
    file = LoginFile.find({"XDG_STATE_HOME": str(tmp_path)})
    assert file.path == tmp_path / "backendai" / "logins.json"
    assert file.find_token(HERE) == ""
    file.keep(HERE, "one")
    file.keep(("http://other",), "two")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert (file.find_token(HERE), file.find_token(("http://other",))) == ("one", "two")
    file.drop(HERE)
    assert (file.find_token(HERE), file.find_token(("http://other",))) == ("", "two")
    file.path.write_text("no JSON")
    assert file.find_token(HERE) == ""
