"""Storage proxies as the configuration names them."""

import pytest

from backendai.common.faults import InvalidParams
from backendai.manager.vfolders.model import Ownership
from backendai.manager.vfolders.volumes import Host, parse_host, read_config

LOCAL = {
    "volumes/proxies/local/client_api": "http://127.0.0.1:6021/",
    "volumes/proxies/local/manager_api": "https://127.0.0.1:6022",
    "volumes/proxies/local/secret": "hush-hush",
    "volumes/proxies/local/ssl_verify": "false",
}


def test_nothing_configured_is_no_proxy_and_both_kinds_of_folders() -> None:
    config = read_config({})
    assert (config.proxies, config.default_host) == ({}, None)
    assert config.types == set(Ownership)


def test_a_proxy_is_read_whole_and_never_shows_its_secret() -> None:
    config = read_config({**LOCAL, "volumes/default_host": "local:volume1"})
    local = config.proxies["local"]
    assert (local.client_api, local.manager_api) == (
        "http://127.0.0.1:6021",
        "https://127.0.0.1:6022",
    )
    assert local.secret == "hush-hush"
    assert not local.ssl_verify
    assert "hush-hush" not in repr(config)
    assert config.default_host == "local:volume1"


def test_a_proxy_of_which_something_is_missing_is_told_and_the_others_serve() -> None:
    config = read_config({**LOCAL, "volumes/proxies/far/client_api": "http://far:6021"})
    assert set(config.proxies) == {"local"}
    assert config.broken == {"far": "manager_api, secret is missing"}


@pytest.mark.parametrize(
    ("keys", "types"),
    [
        (["user"], {Ownership.USER}),
        (["group"], {Ownership.PROJECT}),
        (["user", "group"], set(Ownership)),
    ],
)
def test_kinds_of_folders_can_be_turned_off(keys: list[str], types: set[Ownership]) -> None:
    assert read_config({f"volumes/_types/{key}": "" for key in keys}).types == types


def test_a_host_is_a_proxy_and_a_volume() -> None:
    assert parse_host("local:volume1") == Host("local", "volume1")
    assert str(parse_host("local:a:b")) == "local:a:b"
    for text in ("", "local", ":volume1", "local:"):
        with pytest.raises(InvalidParams) as refused:
            parse_host(text)
        assert "<proxy>:<volume>" in refused.value.facts["host"]
