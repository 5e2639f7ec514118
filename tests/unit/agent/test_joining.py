"""What a machine decides by itself when it joins a cluster."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from backendai.agent.cli import ag
from backendai.agent.durable import write_durable
from backendai.agent.joining.asking import (
    answering,
    check_etcd,
    look_at_manager,
    resolve_host,
    resolve_place,
)
from backendai.agent.joining.decide import (
    Membership,
    Place,
    Plan,
    check_manager,
    compose,
    find_etcd,
    find_place,
    judge_certificate,
    judge_clock,
    judge_transport,
    lay_over,
    read_place,
    refuse_other_cluster,
    refuse_other_name,
)
from backendai.agent.joining.known import read_config, read_membership
from backendai.agent.settings import AgentSettings
from backendai.common.contracts.joining import EtcdPlace, JoinRequest, Welcome
from backendai.common.faults import Conflict, ServerMisconfigured, Unavailable
from backendai.common.rpc.curve import generate_keypair
from backendai.common.settings.checks import HostPort
from backendai.common.settings.load import check_settings

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
DATE = "Mon, 05 Jan 2026 10:00:00 GMT"
ETCD = EtcdPlace(namespace="local", host="10.0.0.5", port=2379)
MEMBERS = (HostPort("10.0.0.5", 2379),)
# Where nobody listens.
CLOSED = HostPort("127.0.0.1", 9)
WELCOME = Welcome(resource_group="gpu", manager_keys=("k" * 40,), etcd=ETCD)
SAME = Membership("local", frozenset(MEMBERS), frozenset({"k" * 40}))


PLACE = Place("10.0.0.7", 6001, 6002, Path("/etc/backend.ai/agent.key"))


def make_plan(config: Path = Path("/etc/backend.ai/agent.toml")) -> Plan:
    return Plan(manager="http://10.0.0.1:8081", token="join-x", config=config, agent_id="i-one")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, ""), (59, ""), (-59, ""), (90, "90 s ahead of"), (-3600, "3600 s behind")],
)
def test_a_clock_that_is_wrong_is_told(seconds: int, told: str) -> None:
    found = judge_clock(DATE, NOW + timedelta(seconds=seconds))
    assert told in found
    assert bool(found) == bool(told)


def test_an_answer_without_a_time_says_nothing_about_the_clock() -> None:
    assert judge_clock("", NOW) == judge_clock("soon", NOW) == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_an_etcd_on_the_managers_machine_is_found_there(host: str) -> None:
    place = EtcdPlace(namespace="local", host=host, port=2379)
    assert find_etcd(place, "manager.example.com") == (HostPort("manager.example.com", 2379),)


def test_an_etcd_elsewhere_is_found_where_the_manager_says() -> None:
    assert find_etcd(ETCD, "manager.example.com") == (HostPort("10.0.0.5", 2379),)


def test_every_member_of_etcd_is_found() -> None:
    more = (HostPort("127.0.0.1", 2479), HostPort("10.0.0.6", 2379))
    found = find_etcd(msgspec.structs.replace(ETCD, more_addrs=more), "10.0.0.1")
    assert [str(member) for member in found] == ["10.0.0.5:2379", "10.0.0.1:2479", "10.0.0.6:2379"]


def test_a_manager_of_an_older_release_names_one_member() -> None:
    told = b'{"namespace": "local", "host": "10.0.0.5", "port": 2379}'
    assert msgspec.json.decode(told, type=EtcdPlace).members == (HostPort("10.0.0.5", 2379),)


@pytest.fixture
def taken() -> Iterator[HostPort]:
    """Where something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield HostPort("127.0.0.1", server.getsockname()[1])


async def test_one_member_of_etcd_that_answers_is_enough(taken: HostPort) -> None:
    await check_etcd((CLOSED, taken))


async def test_an_etcd_of_which_no_member_answers_is_told() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 .*127\.0\.0\.1:13 "):
        await check_etcd((CLOSED, HostPort("127.0.0.1", 13)))


@pytest.mark.parametrize(
    "address",
    [
        "manager",
        "ftp://manager",
        "https://",
        "10.0.0.1:8081",
        "http://manager:99999",
        "http://manager:0",
        "http://manager:x",
        "http://[::1",
        "http://a..b",
        "http://manager/a b",
    ],
)
def test_what_is_no_address_of_a_manager_is_refused(address: str) -> None:
    with pytest.raises(ServerMisconfigured, match="https://manager"):
        check_manager(address)


def test_what_is_no_place_of_etcd_is_refused() -> None:
    assert read_place("etcd.example.com:2379") == HostPort("etcd.example.com", 2379)
    with pytest.raises(ServerMisconfigured, match="--etcd"):
        read_place("etcd.example.com")


def test_what_is_written_are_sound_settings() -> None:
    values = compose(make_plan(), PLACE, (*MEMBERS, CLOSED), WELCOME)
    settings = check_settings(AgentSettings, values, "agent.toml")
    assert settings.agent.resource_group == "gpu"
    assert str(settings.agent.rpc_listen_addr) == "10.0.0.7:6001"
    assert settings.etcd.members == (*MEMBERS, CLOSED)


def test_a_password_of_etcd_is_written_only_where_there_is_one() -> None:
    login = EtcdPlace(namespace="local", host="h", port=1, user="u", password="secret-word")
    welcome = Welcome(resource_group="gpu", manager_keys=(), etcd=login)
    assert compose(make_plan(), PLACE, MEMBERS, welcome)["etcd"]["password"] == "secret-word"
    assert "password" not in compose(make_plan(), PLACE, MEMBERS, WELCOME)["etcd"]


def test_what_an_operator_set_beside_stays() -> None:
    known = {"agent": {"region": "east", "id": "i-one"}, "container": {"scratch-size": "10g"}}
    values = {"agent": {"id": "i-one", "resource-group": "gpu"}, "etcd": {"namespace": "n"}}
    assert lay_over(known, values) == {
        "agent": {"region": "east", "id": "i-one", "resource-group": "gpu"},
        "container": {"scratch-size": "10g"},
        "etcd": {"namespace": "n"},
    }


def test_a_node_that_joins_again_stays_where_managers_know_it() -> None:
    known = {
        "rpc-listen-addr": "10.0.0.9:7001",
        "relay-listen-addr": {"host": "10.0.0.9", "port": 7002},
        "rpc-keypair": "/var/lib/node.key",
    }
    kept = Place("10.0.0.9", 7001, 7002, Path("/var/lib/node.key"), "10.0.0.9")
    assert find_place(make_plan(), {"agent": known}) == kept
    asked = replace(make_plan(), host="10.0.0.7", rpc_port=6001, relay_port=6002)
    assert find_place(asked, {"agent": known}) == replace(PLACE, key_file=kept.key_file)


@pytest.mark.parametrize(
    ("relay", "kept"),
    [
        # App proxies may come by a network of their own.
        ("192.168.7.9:7002", "192.168.7.9:7002"),
        ("10.0.0.9:7002", "10.0.0.9:7002"),
        ("127.0.0.1:7002", "10.0.0.9:7002"),
        ("0.0.0.0:7002", "10.0.0.9:7002"),
    ],
)
def test_a_node_that_joins_again_stays_where_app_proxies_know_it(relay: str, kept: str) -> None:
    plan = make_plan()
    known = {"agent": {"rpc-listen-addr": "10.0.0.9:6001", "relay-listen-addr": relay}}
    place = resolve_place(plan, find_place(plan, known))
    settings = check_settings(AgentSettings, compose(plan, place, MEMBERS, WELCOME), "agent.toml")
    assert str(settings.agent.rpc_listen_addr) == "10.0.0.9:6001"
    assert str(settings.agent.relay_listen_addr) == kept


def test_an_address_that_is_asked_for_is_for_app_proxies_too() -> None:
    plan = replace(make_plan(), host="10.0.0.7")
    known = {"agent": {"rpc-listen-addr": "10.0.0.9:1", "relay-listen-addr": "192.168.7.9:2"}}
    place = resolve_place(plan, find_place(plan, known))
    assert (place.host, place.relay_host) == ("10.0.0.7", "10.0.0.7")


@pytest.mark.parametrize(
    "known",
    [
        {},
        # Nowhere where another machine finds it, and relative to who knows where.
        {"rpc-listen-addr": "127.0.0.1:6001", "rpc-keypair": "agent.key"},
        {"rpc-listen-addr": "0.0.0.0:0", "relay-listen-addr": "0.0.0.0:0"},
    ],
)
def test_a_node_is_found_where_it_reaches_managers(known: dict[str, str]) -> None:
    assert find_place(make_plan(), {"agent": known}) == replace(PLACE, host="")


def test_what_is_no_address_to_listen_at_is_told() -> None:
    with pytest.raises(ServerMisconfigured, match=r"agent\.toml: rpc-listen-addr of \[agent\]"):
        find_place(make_plan(), {"agent": {"rpc-listen-addr": 3}})


@pytest.mark.parametrize(
    "old",
    [
        Membership(None, frozenset({CLOSED}), frozenset()),
        Membership("local", frozenset({CLOSED}), frozenset({"o" * 40})),
        Membership("other", SAME.members, SAME.keys),
    ],
)
def test_a_node_of_another_cluster_is_refused(old: Membership) -> None:
    with pytest.raises(Conflict, match="another cluster"):
        refuse_other_cluster(Path("agent.toml"), old, SAME)


@pytest.mark.parametrize(
    "old",
    [
        SAME,
        # Nothing but a file of keys that was left.
        Membership(None, frozenset(), frozenset({"o" * 40})),
        # Another name of the manager, where etcd listens on its loopback.
        Membership("local", frozenset({CLOSED}), SAME.keys),
        # Another key of the managers, on the same etcd.
        Membership("local", SAME.members, frozenset({"o" * 40})),
    ],
)
def test_a_node_of_the_same_cluster_may_join_again(old: Membership) -> None:
    refuse_other_cluster(Path("agent.toml"), old, SAME)


@pytest.mark.parametrize("addr", [{"host": "10.0.0.5", "port": 2379}, "10.0.0.5:2379"])
def test_what_a_machine_knows_of_its_cluster_is_read(tmp_path: Path, addr: object) -> None:
    plan = make_plan(tmp_path / "agent.toml")
    (tmp_path / "manager-keys").write_text("k\no\n")
    known = {"etcd": {"addr": addr, "more-addrs": ["127.0.0.1:9"], "namespace": "local"}}
    expected = Membership("local", frozenset({*MEMBERS, CLOSED}), frozenset({"k", "o"}))
    assert read_membership(plan, known) == expected
    assert read_membership(make_plan(tmp_path / "elsewhere/agent.toml"), {}) == Membership(
        None, frozenset(), frozenset()
    )
    with pytest.raises(ServerMisconfigured, match=r"agent\.toml: .*etcd"):
        read_membership(plan, {"etcd": {"addr": 3}})


def test_a_file_of_settings_that_is_none_is_told(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("etcd = 3\n")
    with pytest.raises(ServerMisconfigured, match=r"\[etcd\]"):
        read_config(config)


def test_a_name_of_this_machine_becomes_its_address() -> None:
    assert resolve_host("localhost", "--host") == "127.0.0.1"
    assert resolve_host("10.0.0.7", "--host") == "10.0.0.7"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "a..b"])
def test_what_is_no_address_of_a_machine_is_refused(host: str) -> None:
    with pytest.raises(ServerMisconfigured, match=f" --host {host}: "):
        resolve_place(replace(make_plan(), host=host), replace(PLACE, host=host))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (replace(PLACE, host="a..b"), "rpc-listen-addr"),
        (replace(PLACE, relay_host="a..b"), "relay-listen-addr"),
    ],
)
def test_an_address_of_the_settings_that_is_none_is_told_as_theirs(place: Place, name: str) -> None:
    with pytest.raises(ServerMisconfigured) as caught:
        resolve_place(make_plan(), place)
    told = f"/etc/backend.ai/agent.toml: {name} of [agent] a..b: "
    assert caught.value.detail.startswith(told)


@contextmanager
def speaking(answer: bytes) -> Iterator[str]:
    """A server that gives one answer, whatever it is asked. Gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nhalf",
    ],
)
def test_what_is_no_manager_is_told_in_words(answer: bytes) -> None:
    with speaking(answer) as address, pytest.raises(Unavailable, match="does not answer"):
        look_at_manager(address)


@pytest.mark.parametrize(
    ("manager", "is_told"),
    [
        ("https://manager.example.com", False),
        ("http://127.0.0.1:8081", False),
        ("http://[::1]:8081", False),
        ("http://localhost:8081", False),
        ("http://10.0.0.1:8081", True),
        ("http://manager", True),
    ],
)
def test_a_token_in_the_clear_is_warned_of(manager: str, is_told: bool) -> None:
    assert bool(judge_transport(manager)) == is_told
    assert ("token" in judge_transport(manager)) == is_told


@pytest.mark.parametrize(
    ("manager", "told"),
    [
        ("http://10.0.0.1:8081", "not encrypted"),
        ("https://manager.example.com", ""),
        ("http://m:99999", "no address of a manager"),
    ],
)
def test_the_command_tells_on_stderr(tmp_path: Path, manager: str, told: str) -> None:
    """Nobody is asked: settings that are none end it before."""
    config = tmp_path / "agent.toml"
    config.write_text("etcd = 3\n")
    done = CliRunner().invoke(ag, ["join", manager, "join-x", "-f", str(config)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr
    assert ("not encrypted" in done.stderr) == (told == "not encrypted")
    assert not isinstance(done.exception, Exception)


async def test_an_address_of_another_machine_is_told() -> None:
    keypair = generate_keypair()
    request = JoinRequest(
        token="join-x", agent_id="i-one", address="192.0.2.1:6001", public_key=keypair.public
    )
    with pytest.raises(Conflict, match="address of this machine"):
        async with answering(request, keypair):
            pass


async def test_an_address_that_is_taken_is_told(taken: HostPort) -> None:
    keypair = generate_keypair()
    request = JoinRequest(
        token="join-x", agent_id="i-one", address=str(taken), public_key=keypair.public
    )
    with pytest.raises(Conflict, match="joined already"):
        async with answering(request, keypair):
            pass


def test_a_node_of_another_name_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    refuse_other_name(make_plan(config), read_config(config))
    config.write_text('[agent]\nid = "i-two"\n')
    with pytest.raises(Conflict, match="i-two"):
        refuse_other_name(make_plan(config), read_config(config))


def test_files_are_for_their_owner_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "agent.toml"
    for text in ("one\n", "two\n"):
        write_durable(path, text.encode())
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["agent.toml"]


def test_a_certificate_that_is_not_trusted_comes_with_advice() -> None:
    assert "SSL_CERT_FILE" in judge_certificate(ssl.SSLCertVerificationError("self signed"))
    assert judge_certificate(ConnectionRefusedError()) == ""
