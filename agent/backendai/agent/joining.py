"""`ag join`: from a machine with nothing but our wheel to a node of a cluster, in one command.

What is decided here is pure; `join` asks the manager, answers its question, and writes the files.
Repeated after a crash it goes on with the same key, to which the same token opens again. A node
that joins again, where its cluster has moved to, keeps its key and where it listens.
"""

import asyncio
import contextlib
import email.utils
import errno
import ipaddress
import json
import re
import socket
import ssl
import subprocess
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec
import trafaret as t

from backendai.common.contracts.joining import (
    CONTRACT,
    JOIN_PATH,
    PROVE,
    EtcdPlace,
    JoinRequest,
    Proof,
    Prove,
    Welcome,
)
from backendai.common.faults import (
    Conflict,
    Fault,
    ServerMisconfigured,
    Unavailable,
    fault_from_problem,
)
from backendai.common.rpc.curve import KeyPair, ensure_keypair
from backendai.common.rpc.server import RpcServer
from backendai.common.settings.checks import HostPort, host_port, is_host, listing
from backendai.common.settings.render import render_toml

from .durable import write_durable

CLOCK_SECONDS_MAX: Final = 60.0
ANSWER_SECONDS_MAX: Final = 60.0
CONNECT_SECONDS_MAX: Final = 5.0
UNIT: Final = "backendai-agent.service"
RPC_PORT: Final = 6001
RELAY_PORT: Final = 6002
RPC_SETTING: Final = "rpc-listen-addr"
RELAY_SETTING: Final = "relay-listen-addr"
KEY_FILE: Final = "agent.key"
MANAGER_KEYS_FILE: Final = "manager-keys"
# No request line holds these.
_NO_ADDRESS: Final = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asked for. `host` and ports None: as `find_place` says; `etcd` empty: the
    members that the manager names."""

    manager: str
    token: str
    config: Path
    agent_id: str
    host: str | None = None
    rpc_port: int | None = None
    relay_port: int | None = None
    etcd: tuple[HostPort, ...] = ()

    @property
    def folder(self) -> Path:
        return self.config.parent

    @property
    def manager_host(self) -> str:
        return urlsplit(self.manager).hostname or ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where managers and app proxies find the node, and by which key. `host` empty: the address by
    which this machine reaches managers; `relay_host` empty: the same as `host`."""

    host: str
    rpc_port: int
    relay_port: int
    key_file: Path
    relay_host: str = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """By what a cluster is known: `keys` are public ones of its managers. `namespace` None: not
    said."""

    namespace: str | None
    members: frozenset[HostPort]
    keys: frozenset[str]


async def join(plan: Plan) -> Mapping[str, Any]:
    """What was written to `plan.config`. Raises Faults that say what is wrong and what to do."""
    known = read_config(plan.config)
    refuse_other_name(plan, known)
    old = read_membership(plan, known)
    # What needs no token is looked at before it is shown.
    await check_etcd(plan.etcd)
    await asyncio.to_thread(look_at_manager, plan.manager)
    place = await asyncio.to_thread(resolve_place, plan, find_place(plan, known))
    keypair = ensure_keypair(place.key_file)
    request = JoinRequest(
        token=plan.token,
        agent_id=plan.agent_id,
        address=str(HostPort(place.host, place.rpc_port)),
        public_key=keypair.public,
    )
    async with answering(request, keypair):
        welcome = await asyncio.to_thread(ask_manager, plan.manager, request)
    members = plan.etcd or find_etcd(welcome.etcd, plan.manager_host)
    new = Membership(welcome.etcd.namespace, frozenset(members), frozenset(welcome.manager_keys))
    refuse_other_cluster(plan.config, old, new)
    if not plan.etcd:
        await check_etcd(members)
    values = lay_over(known, compose(plan, place, members, welcome))
    keys = "".join(f"{key}\n" for key in welcome.manager_keys)
    write_durable(plan.folder / MANAGER_KEYS_FILE, keys.encode())
    write_durable(plan.config, render_toml(values).encode())
    return values


def check_manager(address: str) -> None:
    """PURE. Raises ServerMisconfigured."""
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in ("http", "https") and is_host(parts.hostname or "")
        # Reading the port is what finds that it is none.
        is_one = is_one and parts.port != 0 and not _NO_ADDRESS.search(address)
    except ValueError:
        is_one = False
    if not is_one:
        raise ServerMisconfigured(
            f"{address!r} is no address of a manager: write https://manager.example.com"
        )


def judge_transport(manager: str) -> str:
    """What others may do who see what is sent to the manager; empty where nobody does. PURE."""
    parts = urlsplit(manager)
    if parts.scheme == "https" or _is_loopback(parts.hostname or ""):
        return ""
    return (
        f"{manager} is not encrypted: who can listen on the way learns the token, by which another "
        "machine may join first, and the password of etcd. Use https, or a network of nodes only"
    )


def read_place(text: str) -> HostPort:
    """PURE. Raises ServerMisconfigured."""
    try:
        found: HostPort = host_port().trafaret.check(text)
    except t.DataError as error:
        raise ServerMisconfigured(f"--etcd {text}: {error}") from None
    return found


def find_etcd(place: EtcdPlace, manager_host: str) -> tuple[HostPort, ...]:
    """Where a node finds the members of etcd: what is loopback for the manager is the manager's
    machine. PURE."""
    return tuple(
        HostPort(manager_host if _is_loopback(member.host) else member.host, member.port)
        for member in place.members
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def judge_clock(told: str, now: datetime) -> str:
    """What is wrong with this machine's clock, by the `Date` of an answer; empty if none. PURE"""
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except (TypeError, ValueError):
        return ""
    seconds = (now - moment).total_seconds()
    if abs(seconds) <= CLOCK_SECONDS_MAX:
        return ""
    way = "ahead of" if seconds > 0 else "behind"
    return f"the clock of this machine is {abs(seconds):.0f} s {way} the manager's: set it"


def compose(
    plan: Plan, place: Place, members: Sequence[HostPort], welcome: Welcome
) -> Mapping[str, Any]:
    """The settings of the agent. PURE."""
    first, *more = [{"host": member.host, "port": member.port} for member in members]
    login = {"user": welcome.etcd.user, "password": welcome.etcd.password}
    return {
        "etcd": {
            "namespace": welcome.etcd.namespace,
            "addr": first,
            # An empty list as well: it takes the place of one from an earlier time.
            "more-addrs": more,
            **(login if welcome.etcd.user else {}),
        },
        "agent": {
            "id": plan.agent_id,
            RPC_SETTING: {"host": place.host, "port": place.rpc_port},
            RELAY_SETTING: {
                "host": place.relay_host or place.host,
                "port": place.relay_port,
            },
            "rpc-keypair": str(place.key_file),
            "manager-public-keys-file": str(plan.folder.absolute() / MANAGER_KEYS_FILE),
            "resource-group": welcome.resource_group,
        },
    }


def refuse_other_name(plan: Plan, known: Mapping[str, Any]) -> None:
    """Raises Conflict where this machine is a node already, and not the one that is to join."""
    name = known.get("agent", {}).get("id")
    if name not in (None, "", plan.agent_id):
        raise Conflict(f"{plan.config} calls this node {name}, not {plan.agent_id}")


def find_place(plan: Plan, known: Mapping[str, Any]) -> Place:
    """What is not asked for stays as this machine has it, so that who joins again is found where
    managers and app proxies know it. PURE. Raises ServerMisconfigured."""
    own = known.get("agent", {})
    rpc = _read_listening(plan.config, own, RPC_SETTING)
    relay = _read_listening(plan.config, own, RELAY_SETTING)
    key_file = Path(str(own.get("rpc-keypair", "")))
    return Place(
        host=plan.host or _known_outside(rpc.host),
        rpc_port=plan.rpc_port or rpc.port or RPC_PORT,
        relay_port=plan.relay_port or relay.port or RELAY_PORT,
        # A relative one is relative to where the agent is started.
        key_file=key_file if key_file.is_absolute() else plan.folder.absolute() / KEY_FILE,
        # One that is asked for is for both.
        relay_host="" if plan.host else _known_outside(relay.host),
    )


def _known_outside(host: str) -> str:
    """Empty for what no other machine finds this one by."""
    return "" if _is_loopback(host) or _is_unspecified(host) else host


def _read_listening(config: Path, own: Mapping[str, Any], name: str) -> HostPort:
    """Everywhere and anywhere, where nothing is said."""
    try:
        found: HostPort = host_port(port_min=0).trafaret.check(own.get(name, "0.0.0.0:0"))
    except t.DataError as error:
        raise ServerMisconfigured(f"{config}: {name} of [agent]: {error}") from None
    return found


def read_membership(plan: Plan, known: Mapping[str, Any]) -> Membership:
    """What this machine knows already of the cluster that it is in. Raises ServerMisconfigured."""
    etcd = known.get("etcd", {})
    first, addresses = [etcd[key] for key in ("addr",) if key in etcd], listing(host_port())
    try:
        more = addresses.trafaret.check(etcd.get("more-addrs", []))
        members = frozenset((*addresses.trafaret.check(first), *more))
    except t.DataError as error:
        raise ServerMisconfigured(f"{plan.config}: addr or more-addrs of [etcd]: {error}") from None
    named = known.get("agent", {}).get("manager-public-keys-file")
    file = Path(str(named)) if named else plan.folder / MANAGER_KEYS_FILE
    try:
        keys = frozenset(file.read_text("utf-8").split())
    except FileNotFoundError:
        keys = frozenset()
    except (OSError, ValueError) as error:
        raise ServerMisconfigured(f"cannot read {file}: {error}") from error
    return Membership(etcd.get("namespace"), members, keys)


def refuse_other_cluster(config: Path, old: Membership, new: Membership) -> None:
    """Raises Conflict where what is known of this machine is of another cluster. PURE.

    One manager has several names, and etcd several members: a key of a manager or one address in
    common says that it is the same.
    """
    if old.namespace not in (None, new.namespace):
        raise Conflict(
            f"this machine is a node of another cluster: [etcd] namespace of {config} is "
            f"{old.namespace}, not {new.namespace}. Move the file away to join this one"
        )
    if old.members and not (old.members & new.members or old.keys & new.keys):
        raise Conflict(
            f"this machine is a node of another cluster: [etcd] of {config} names "
            f"{_list(old.members)}, not {_list(new.members)}, and none of these managers' keys is "
            "known here. Move the file away to join this one; the same etcd is named with --etcd"
        )


def lay_over(known: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an operator has set beside what the cluster says stays. PURE."""
    sections = {*known, *values}
    return {name: {**known.get(name, {}), **values.get(name, {})} for name in sorted(sections)}


def read_config(config: Path) -> Mapping[str, Any]:
    """Empty where there is none. Raises ServerMisconfigured."""
    try:
        known = tomllib.loads(config.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ServerMisconfigured(f"cannot read {config}: {error}") from error
    for name, section in known.items():
        if not isinstance(section, dict):
            raise ServerMisconfigured(f"{config}: {name} must be a table, [{name}]")
    return known


def _list(members: frozenset[HostPort]) -> str:
    return ", ".join(sorted(map(str, members)))


def resolve_place(plan: Plan, place: Place) -> Place:
    """With addresses as its hosts. Raises ServerMisconfigured and Unavailable."""
    rpc, relay = (f"{plan.config}: {name} of [agent]" for name in (RPC_SETTING, RELAY_SETTING))
    host = (
        resolve_host(place.host, "--host" if plan.host else rpc)
        if place.host
        else find_own_address(plan.manager)
    )
    relay_host = resolve_host(place.relay_host, relay) if place.relay_host else host
    return replace(place, host=host, relay_host=relay_host)


def resolve_host(host: str, source: str) -> str:
    """The address behind a name of this machine, since nobody listens at a name. `source` is who
    said it.

    Raises ServerMisconfigured.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        # What has no family of its own in the settings of the agent is IPv4.
        address = str(min(found, key=lambda one: one[0] != socket.AF_INET)[4][0])
    except (OSError, UnicodeError) as error:
        raise ServerMisconfigured(f"{source} {host}: no address of that name ({error})") from error
    if _is_unspecified(address):
        raise ServerMisconfigured(
            f"{source} {host}: others need one address of this machine, not all of them"
        )
    return address


def find_own_address(manager: str) -> str:
    """By which this machine reaches the manager. Raises Unavailable."""
    parts = urlsplit(manager)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        address = (parts.hostname or "", port)
        with socket.create_connection(address, CONNECT_SECONDS_MAX) as connection:
            return str(connection.getsockname()[0])
    except OSError as error:
        raise Unavailable(
            f"{manager} does not answer ({error}): check the address, and that this machine may "
            f"reach port {port} there"
        ) from error


@contextlib.asynccontextmanager
async def answering(request: JoinRequest, keypair: KeyPair) -> AsyncIterator[None]:
    """Prove to whoever asks that this machine has the key, at the agent's own address.

    Raises Conflict where something listens there.
    """

    async def prove(asked: Prove) -> Proof:
        return Proof(asked.nonce, request.agent_id)

    # Who asks is not known yet, and learns nothing but what is sent to the manager anyway.
    server = RpcServer(f"tcp://{request.address}", keypair, lambda _key: True, CONTRACT)
    server.on(PROVE, prove)
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(server)
        except ServerMisconfigured as fault:
            advice = (
                "if the agent of this machine runs, it has joined already: stop it to join again, "
                "its containers run on; else choose another --host or --rpc-port"
            )
            if getattr(fault.__cause__, "errno", None) != errno.EADDRINUSE:
                advice = "name an address of this machine with --host, and a port that is allowed"
            raise Conflict(f"{fault.detail}: {advice}") from fault
        yield


class _NoRedirects(HTTPRedirectHandler):
    """Nobody gets the token but who was named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def look_at_manager(manager: str) -> None:
    """Whether it is one and the clocks agree, before anything secret is sent.

    Raises Unavailable and ServerMisconfigured.
    """
    headers, data = _ask(Request(f"{manager.rstrip('/')}/"))  # noqa: S310 - checked to be http(s)
    try:
        is_manager = "manager" in json.loads(data)
    except (ValueError, TypeError):
        is_manager = False
    if not is_manager:
        raise Unavailable(f"no manager answers at {manager}, but something else does")
    problem = judge_clock(headers.get("Date", ""), datetime.now(UTC))
    if problem:
        raise ServerMisconfigured(problem)


def ask_manager(manager: str, request: JoinRequest) -> Welcome:
    """Raises the manager's Fault, and Unavailable."""
    url, body = manager.rstrip("/") + JOIN_PATH, msgspec.json.encode(request)
    headers = {"Content-Type": "application/json"}
    _, data = _ask(Request(url, body, headers, method="POST"))  # noqa: S310 - as above
    try:
        return msgspec.json.decode(data, type=Welcome)
    except msgspec.DecodeError as error:
        raise Unavailable(f"{url} does not answer as a manager does: {error}") from error


def _ask(asking: Request) -> tuple[Mapping[str, str], bytes]:
    url = asking.full_url
    try:
        try:
            with build_opener(_NoRedirects).open(asking, timeout=ANSWER_SECONDS_MAX) as answer:
                return answer.headers, answer.read()
        except HTTPError as error:
            raise _read_fault(error.code, error.read(), url) from error
    # What speaks something else than HTTP there is no OSError.
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        advice = judge_certificate(reason)
        raise Unavailable(f"{url} does not answer: {reason}{advice}") from error


def judge_certificate(reason: object) -> str:
    """What to do about a certificate that is not trusted; empty where that is not it. PURE."""
    if not isinstance(reason, ssl.SSLCertVerificationError):
        return ""
    return (
        ". If a CA of your own signed it, name its file in SSL_CERT_FILE; "
        "if it seems to be of another time, look at this machine's clock"
    )


def _read_fault(status: int, body: bytes, url: str) -> Fault:
    try:
        return fault_from_problem(status, json.loads(body))
    except ValueError:
        return Unavailable(f"{url} answers {status}, and not as a manager does")


async def check_etcd(members: Sequence[HostPort]) -> None:
    """One member that answers is enough: daemons ask the others in turn. Where none is named, none
    has to. Raises Unavailable."""
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_knock(member), name="knock") for member in members]
    refusals = [task.result() for task in asked]
    if refusals and all(refusals):
        tried = ", ".join(
            f"{member} ({why})" for member, why in zip(members, refusals, strict=True)
        )
        raise Unavailable(
            f"etcd does not answer at {tried}: open that port for this machine, or say "
            "--etcd HOST:PORT where nodes reach it"
        )


async def _knock(place: HostPort) -> str:
    """Why nobody opens; empty when somebody does."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            _, writer = await asyncio.open_connection(place.host, place.port)
    except (OSError, TimeoutError) as error:
        return str(error) or "no answer"
    writer.close()
    return ""


def start_unit(*, is_wanted: bool) -> str:
    """What to do now, or what was done. Raises Unavailable."""
    command = ["systemctl", "enable", "--now", UNIT]
    if not is_wanted:
        return f"Start it: {' '.join(command)}"
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        raise Unavailable(f"cannot run systemctl: {error}") from error
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip()}")
    return f"{UNIT} runs."
