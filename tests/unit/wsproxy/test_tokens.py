import uuid
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from backendai.common.clock import FakeClock
from backendai.common.contracts.wsproxy import AppFacts, ProxyConf, SessionFacts, derive_key
from backendai.common.faults import AuthFailed
from backendai.common.relay_secrets import (
    FileSecrets,
    OneSecret,
    read_secrets,
    rotated,
    write_secrets,
)
from backendai.common.secretfile import write_secret_key
from backendai.wsproxy.tokens import CONF_SECONDS, SETUP_SECONDS, TokenBox

SECRET = bytes(range(32))
CIRCUIT = uuid.UUID(int=9)
BODY = ProxyConf(
    kernel_host="",
    kernel_port=0,
    session=SessionFacts(
        id=uuid.UUID(int=1),
        user_uuid=uuid.UUID(int=2),
        group_id=uuid.UUID(int=4),
        access_key="AKIA",
        domain_name="default",
    ),
    circuit=AppFacts(
        agent_id="i-1",
        kernel_id=uuid.UUID(int=3),
        generation=2,
        app="jupyterlab",
        port=8888,
        protocol="http",
    ),
    login_session_token="a-login",
)


def test_a_conf_token_says_what_the_manager_said_but_the_login() -> None:
    box = TokenBox(OneSecret(SECRET), FakeClock())
    token = box.sign_conf(BODY)
    claims = box.read_conf(token)
    assert claims.circuit == BODY.circuit
    assert (claims.id, claims.user_uuid) == (BODY.session.id, BODY.session.user_uuid)
    assert "a-login" not in repr(jwt.decode(token, options={"verify_signature": False}))


def test_tokens_expire() -> None:
    clock = FakeClock()
    box = TokenBox(OneSecret(SECRET), clock)
    conf, setup = box.sign_conf(BODY), box.sign_setup(CIRCUIT, "/")
    clock.shift(SETUP_SECONDS)
    with pytest.raises(AuthFailed):
        box.read_setup(setup)
    assert box.read_conf(conf).port == 8888
    clock.shift(CONF_SECONDS)
    with pytest.raises(AuthFailed):
        box.read_conf(conf)


def test_no_token_is_good_for_another_purpose_or_by_another_key() -> None:
    box = TokenBox(OneSecret(SECRET), FakeClock())
    conf, setup = box.sign_conf(BODY), box.sign_setup(CIRCUIT, "/")
    unsigned = jwt.encode(jwt.decode(conf, options={"verify_signature": False}), "", "none")
    for token in (setup, unsigned, "", "x", "a.b.c", conf[:-3], conf + "A", "\xe9"):
        with pytest.raises(AuthFailed):
            box.read_conf(token)
    with pytest.raises(AuthFailed):
        box.read_setup(conf)
    with pytest.raises(AuthFailed):
        TokenBox(OneSecret(bytes(32)), FakeClock()).read_conf(conf)
    raw = jwt.encode({"aud": "backendai-wsproxy-conf"}, derive_key(SECRET, b"x"), "HS256")
    with pytest.raises(AuthFailed):
        box.read_conf(raw)


def test_each_setup_token_has_a_permit_of_its_own() -> None:
    box = TokenBox(OneSecret(SECRET), FakeClock())
    first, second = box.sign_setup(CIRCUIT, "/"), box.sign_setup(CIRCUIT, "/")
    assert box.permit_of(first) == box.permit_of(first)
    assert box.permit_of(first) != box.permit_of(second)
    assert len(box.permit_of(first)) == 64


def test_the_permit_of_a_setup_token_outlives_the_key_that_signs(tmp_path: Path) -> None:
    """A second one would let somebody else in by a link that was used."""
    clock, lead = FakeClock(), timedelta(seconds=60)
    write_secret_key(tmp_path / "secret")
    written = rotated(read_secrets(tmp_path / "secret"), SECRET, clock.now(), lead)
    write_secrets(tmp_path / "secret", written)
    box = TokenBox(FileSecrets(tmp_path / "secret", clock), clock)
    token = box.sign_setup(CIRCUIT, "/")
    before = box.permit_of(token)
    clock.shift(lead.total_seconds())
    assert box.permit_of(token) == before


def test_a_closing_key_is_of_one_circuit() -> None:
    box = TokenBox(OneSecret(SECRET), FakeClock())
    key = box.closing_key(CIRCUIT)
    assert box.is_closing_key(CIRCUIT, key)
    assert not box.is_closing_key(uuid.UUID(int=8), key)
    assert not box.is_closing_key(CIRCUIT, "")
    assert not box.is_closing_key(CIRCUIT, "\xe9")
