"""`ag join`: from a machine with nothing but our wheel to a node of a cluster, in one command.

Repeated after a crash it goes on with the same key, to which the same token opens again. A node
that joins again, where its cluster has moved to, keeps its key and where it listens.
"""

import asyncio
import subprocess
from collections.abc import Mapping
from typing import Any, Final

from backendai.common.contracts.joining import JoinRequest
from backendai.common.faults import Unavailable
from backendai.common.rpc.curve import ensure_keypair
from backendai.common.settings.checks import HostPort
from backendai.common.settings.render import render_toml

from ..durable import write_durable
from .asking import answering, ask_manager, check_etcd, look_at_manager, resolve_place
from .decide import (
    MANAGER_KEYS_FILE,
    Membership,
    Plan,
    compose,
    find_etcd,
    find_place,
    lay_over,
    refuse_other_cluster,
    refuse_other_name,
)
from .known import read_config, read_membership

UNIT: Final = "backendai-agent.service"


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
