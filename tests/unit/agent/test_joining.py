"""What a machine decides by itself when it joins a cluster."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from backendai.agent.joining import (
    Plan,
    answering,
    check_etcd,
    check_manager,
    compose,
    find_etcd,
    judge_certificate,
    judge_clock,
    lay_over,
    read_place,
    refuse_other_cluster,
    refuse_other_name,
    write,
)
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


@pytest.mark.parametrize("address", ["manager", "ftp://manager", "https://", "10.0.0.1:8081"])
def test_what_is_no_address_of_a_manager_is_refused(address: str) -> None:
    with pytest.raises(ServerMisconfigured, match="https://manager"):
        check_manager(address)


def test_what_is_no_place_of_etcd_is_refused() -> None:
    assert read_place("etcd.example.com:2379") == HostPort("etcd.example.com", 2379)
    with pytest.raises(ServerMisconfigured, match="--etcd"):
        read_place("etcd.example.com")


def test_what_is_written_are_sound_settings() -> None:
    values = compose(make_plan(), "10.0.0.7", (*MEMBERS, CLOSED), WELCOME)
    settings = check_settings(AgentSettings, values, "agent.toml")
    assert settings.agent.resource_group == "gpu"
    assert str(settings.agent.rpc_listen_addr) == "10.0.0.7:6001"
    assert settings.etcd.members == (*MEMBERS, CLOSED)


def test_a_password_of_etcd_is_written_only_where_there_is_one() -> None:
    login = EtcdPlace(namespace="local", host="h", port=1, user="u", password="secret-word")
    welcome = Welcome(resource_group="gpu", manager_keys=(), etcd=login)
    assert compose(make_plan(), "x", MEMBERS, welcome)["etcd"]["password"] == "secret-word"
    assert "password" not in compose(make_plan(), "x", MEMBERS, WELCOME)["etcd"]


def test_what_an_operator_set_beside_stays() -> None:
    known = {"agent": {"region": "east", "id": "i-one"}, "container": {"scratch-size": "10g"}}
    values = {"agent": {"id": "i-one", "resource-group": "gpu"}, "etcd": {"namespace": "n"}}
    assert lay_over(known, values) == {
        "agent": {"region": "east", "id": "i-one", "resource-group": "gpu"},
        "container": {"scratch-size": "10g"},
        "etcd": {"namespace": "n"},
    }


@pytest.mark.parametrize(
    "etcd", [{"addr": {"host": "10.9.9.9", "port": 2379}}, {"namespace": "other"}]
)
def test_a_node_of_another_cluster_is_refused(etcd: dict[str, object]) -> None:
    values = compose(make_plan(), "10.0.0.7", MEMBERS, WELCOME)
    with pytest.raises(Conflict, match="another cluster"):
        refuse_other_cluster(Path("agent.toml"), {"etcd": etcd}, values)


@pytest.mark.parametrize("addr", [{"host": "10.0.0.5", "port": 2379}, "10.0.0.5:2379"])
def test_a_node_of_the_same_cluster_may_join_again(addr: object) -> None:
    values = compose(make_plan(), "10.0.0.7", MEMBERS, WELCOME)
    known = {"etcd": {"addr": addr, "namespace": "local"}}
    refuse_other_cluster(Path("agent.toml"), known, values)


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
    refuse_other_name(make_plan(config))
    config.write_text('[agent]\nid = "i-two"\n')
    with pytest.raises(Conflict, match="i-two"):
        refuse_other_name(make_plan(config))


def test_files_are_for_their_owner_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "agent.toml"
    for text in ("one\n", "two\n"):
        write(path, text)
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["agent.toml"]


def test_a_certificate_that_is_not_trusted_comes_with_advice() -> None:
    assert "SSL_CERT_FILE" in judge_certificate(ssl.SSLCertVerificationError("self signed"))
    assert judge_certificate(ConnectionRefusedError()) == ""
