import uuid
from typing import Any

import pytest

from backendai.common.settings.load import check_settings
from backendai.wsproxy.addresses import Addresses, is_label, local_path, make_addresses
from backendai.wsproxy.circuits.model import Circuit, Protocol, parse_networks, protocol_of
from backendai.wsproxy.settings import WsproxySection


def addresses(**own: object) -> Addresses:
    keys = {name.replace("_", "-"): value for name, value in own.items()}
    return make_addresses(check_settings(WsproxySection, keys, "test"))


def circuit(**changes: Any) -> Circuit:
    own: dict[str, Any] = {
        "id": uuid.UUID(int=1),
        "session_id": uuid.UUID(int=2),
        "kernel_id": uuid.UUID(int=3),
        "generation": 1,
        "agent_id": "i-1",
        "app": "jupyter",
        "port": 8888,
        "protocol": Protocol.HTTP,
        "owner": uuid.UUID(int=4),
        "access_key": "AKIA",
    }
    return Circuit(**{**own, **changes})


def test_ports_are_at_the_host_of_the_api() -> None:
    found = addresses(advertised_url="https://portal.example.org/wsproxy/")
    assert found.own == "https://portal.example.org/wsproxy"
    assert found.path_prefix == "/wsproxy"
    assert found.url_of(circuit(public_port=10205)) == "https://portal.example.org:10205"
    tcp = circuit(public_port=10206, protocol=Protocol.TCP)
    assert found.url_of(tcp) == "tcp://portal.example.org:10206"


def test_names_are_below_the_domain() -> None:
    plain = addresses(mode="subdomain", domain="apps.example.org")
    assert plain.url_of(circuit(subdomain="x")) == "http://x.apps.example.org:5051"
    secure = addresses(mode="subdomain", domain="apps.example.org", apps_scheme="https")
    assert secure.url_of(circuit(subdomain="x")) == "https://x.apps.example.org"


@pytest.mark.parametrize(
    ("host", "label"),
    [
        (b"x.apps.example.org", "x"),
        (b"X.Apps.Example.org:443", "x"),
        (b"x.apps.example.org.evil.example", None),
        (b"evil-apps.example.org", None),
        (b"a.x.apps.example.org", None),
        (b"apps.example.org", None),
        (b"x.apps.example.org.", None),
        (b"x.apps.example.org:1:2", None),
        (b"x.apps.example.org:\xb2", None),
        (b"-x.apps.example.org", None),
        (b".apps.example.org", None),
        (b"\xff.apps.example.org", None),
    ],
)
def test_a_name_is_matched_as_a_whole(host: bytes, label: str | None) -> None:
    found = addresses(mode="subdomain", domain="apps.example.org")
    assert found.subdomain_of(host) == label


@pytest.mark.parametrize(
    "text", ["", "x", "//evil", "/\\evil", "\\x", "https:x", "/\r\nX: y", "/" + "x" * 3000]
)
def test_a_path_leads_nowhere_else(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        local_path(text)


def test_paths_and_labels_that_are_right() -> None:
    assert local_path("/lab?x=1#y") == "/lab?x=1#y"
    assert local_path("/a b/ü%20") == "/a%20b/%C3%BC%20"
    assert is_label("my-app-1")
    assert not any(map(is_label, ("", "-x", "x-", "a.b", "A", "x" * 64)))


def test_addresses_are_let_in_by_networks() -> None:
    limited = circuit(allowed=parse_networks(["10.1.0.0/16", "::1"]))
    assert limited.admits("10.1.2.3")
    assert limited.admits("::1")
    assert not limited.admits("10.2.0.1")
    assert not limited.admits("nonsense")
    assert circuit().admits("nonsense")


def test_what_is_no_web_page_is_bare_bytes() -> None:
    words = [protocol_of(word) for word in ("http", "preopen", "tcp", "sshd", "pty")]
    assert words == [Protocol.HTTP, Protocol.HTTP, Protocol.TCP, Protocol.TCP, Protocol.HTTP]
