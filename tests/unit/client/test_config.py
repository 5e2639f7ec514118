"""Configuration: what the environment must say, and what is refused."""

from pathlib import Path

import pytest

from backendai.client.config import Config
from backendai.client.faults import NotConfigured
from backendai.client.login_file import LoginFile

ENVIRON = {
    "BACKEND_ENDPOINT": "http://127.0.0.1:8081/",
    "BACKEND_ACCESS_KEY": "AKIA",
    "BACKEND_SECRET_KEY": "secret",
}


def test_environment_gives_defaults() -> None:
    config = Config.from_environment(ENVIRON)
    assert config.endpoints == ("http://127.0.0.1:8081",)
    assert (config.domain, config.project) == ("default", "default")
    assert config.verify_certificates
    assert not config.signs_body


def test_environment_names_domain_project_and_several_addresses() -> None:
    more = {
        "BACKEND_ENDPOINT": "http://a:1, https://b",
        "BACKEND_DOMAIN": "lab",
        "BACKEND_GROUP": "vision",
        "BACKEND_SKIP_SSLCERT_VALIDATION": "yes",
        "BACKEND_SIGN_BODY": "yes",
    }
    config = Config.from_environment(ENVIRON | more)
    assert config.endpoints == ("http://a:1", "https://b")
    assert (config.domain, config.project) == ("lab", "vision")
    assert not config.verify_certificates
    assert config.signs_body


def test_missing_variables_are_named_all_at_once_with_the_fix() -> None:
    with pytest.raises(NotConfigured) as caught:
        Config.from_environment({})
    for text in (*ENVIRON, ". .bai/env-user.sh"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        *("localhost:8081", "ftp://a", "http://", "http://u:p@h", "http://h?x"),
        *("http://[::1", "http://h:99999", "http://h:x", "http://h:0", "http://é", "http://a b"),
        "http://\udcff",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(NotConfigured, match=r"address|query"):
        Config((address,), "AKIA", "secret")


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(NotConfigured, match="BACKEND_ENDPOINT_TYPE"):
        Config.from_environment({**ENVIRON, "BACKEND_ENDPOINT_TYPE": "cookie"})


def test_a_login_is_taken_in_place_of_keys(tmp_path: Path) -> None:
    environ = {
        "BACKEND_ENDPOINT": "http://127.0.0.1:8090/",
        "BACKEND_ENDPOINT_TYPE": "session",
        "XDG_STATE_HOME": str(tmp_path),
    }
    with pytest.raises(NotConfigured, match="backendai login"):
        Config.from_environment(environ)
    LoginFile.find(environ).keep(("http://127.0.0.1:8090",), "token")
    config = Config.from_environment(environ)
    assert (config.kind, config.token, config.access_key) == ("session", "token", "")
    assert "token" not in repr(config).replace("token=", "")
    with pytest.raises(NotConfigured, match="BACKEND_ENDPOINT"):
        Config.of_webserver(ENVIRON)


def test_one_key_without_the_other_is_refused() -> None:
    with pytest.raises(NotConfigured, match="both"):
        Config(("http://h",), "AKIA", "")


@pytest.mark.parametrize("text", ["a\nb", "é", "\udcff"])
@pytest.mark.parametrize("name", ["BACKEND_ACCESS_KEY", "BACKEND_SECRET_KEY", "BACKEND_DOMAIN"])
def test_what_no_header_can_carry_is_named_but_not_shown(name: str, text: str) -> None:
    with pytest.raises(NotConfigured, match=name) as caught:
        Config.from_environment({**ENVIRON, name: text})
    assert text not in str(caught.value)


def test_the_secret_key_is_not_shown() -> None:
    assert "secret" not in repr(Config(("http://h",), "AKIA", "secret"))
