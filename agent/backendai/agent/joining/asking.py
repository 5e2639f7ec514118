"""What a machine that joins asks others, and answers them, before anything is written."""

import asyncio
import contextlib
import errno
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

from backendai.common.contracts.joining import (
    CONTRACT,
    JOIN_PATH,
    PROVE,
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
from backendai.common.rpc.curve import KeyPair
from backendai.common.rpc.server import RpcServer
from backendai.common.settings.checks import HostPort

from .decide import (
    RELAY_SETTING,
    RPC_SETTING,
    Place,
    Plan,
    is_unspecified,
    judge_certificate,
    judge_clock,
)

ANSWER_SECONDS_MAX: Final = 60.0
CONNECT_SECONDS_MAX: Final = 5.0


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
    if is_unspecified(address):
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


class _NoRedirects(HTTPRedirectHandler):
    """Nobody gets the token but who was named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


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
