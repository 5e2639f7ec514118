"""PURE: a checked request and what was looked up for it become the session that is stored.

Refused here is what could never run: slots that nobody has, less than the image needs, more than
any limit or any node of the group. What merely does not fit now waits in the queue.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

from backendai.common.enums import ClusterMode, ClusterRole
from backendai.common.faults import (
    InsufficientPrivilege,
    InvalidParams,
    QuotaExceeded,
)
from backendai.common.ids import IdSource, KernelId, SessionId
from backendai.common.slots import (
    CPU,
    MEM,
    ResourceSlots,
    SlotError,
    SlotName,
    format_amount,
    parse_size,
)
from backendai.manager.gate.actor import Actor
from backendai.manager.images.model import Image
from backendai.manager.lifecycle.model import NewKernel, NewSession
from backendai.manager.policies.model import Limits, tell_amount

from .model import SessionRequest

BUILT_IN_SLOTS: Final = frozenset({CPU, MEM})
SHARED_MEMORY_BYTES_MIN: Final = Decimal(64 * 1024)
# Defaults that a limit cuts are cut to steps of these: hundredths of a core, whole bytes.
_CPU_STEP: Final = Decimal("0.01")
_STEP: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was looked up. `capacities` are the whole nodes of the group, empty when it has none;
    `image_nodes` those that have the image where others cannot get it, empty where all can."""

    owner: Actor
    asker: Actor
    image: Image
    project_id: uuid.UUID
    resource_group: str
    limits: Limits
    slot_names: frozenset[str]
    capacities: tuple[ResourceSlots, ...]
    depends_on: tuple[SessionId, ...] = ()
    image_nodes: tuple[str, ...] = ()


def compose_session(request: SessionRequest, facts: Facts, ids: IdSource) -> NewSession:
    """The session to store. Raises InvalidParams, QuotaExceeded and the like, with facts."""
    _refuse_unoffered(request, facts)
    slots = _slots_of(request, facts)
    shared_memory = _shared_memory_of(request, facts.image, slots)
    _check_limits(request, facts, slots)
    return NewSession(
        id=SessionId(ids.uuid()),
        name=request.name,
        type=request.type,
        domain_name=request.domain,
        project_id=facts.project_id,
        user_id=facts.owner.user_id,
        access_key=facts.owner.access_key,
        created_by=facts.asker.user_id,
        resource_group=facts.resource_group,
        cluster_mode=request.cluster_mode.value,
        kernels=_kernels_of(request, facts.image, slots, int(shared_memory), ids),
        requested_slots=_times(slots, request.cluster_size).to_json(),
        tag=request.tag,
        priority=request.priority,
        startup_command=request.startup_command,
        bootstrap_script=request.bootstrap_script or facts.owner.bootstrap_script or None,
        callback_url=request.callback_url,
        environ=request.environ,
        resource_opts={**request.resource_opts, "shmem": format_amount(shared_memory)},
        designated_agents=request.agents or _nodes_with_image(request, facts),
        preopen_ports=request.preopen_ports,
        starts_at=request.starts_at,
        depends_on=facts.depends_on,
    )


def _refuse_unoffered(request: SessionRequest, facts: Facts) -> None:
    if request.agents and not facts.asker.is_superadmin:
        raise InsufficientPrivilege("Only a superadmin may choose the agents.")
    wanted = request.cluster_size if request.cluster_mode is ClusterMode.MULTI_NODE else 1
    if request.agents and len(request.agents) != wanted:
        raise InvalidParams(facts={"config.agentList": f"name {wanted}, not {len(request.agents)}"})


def _nodes_with_image(request: SessionRequest, facts: Facts) -> tuple[str, ...]:
    """Named twice where they are as many as kernels: else each would be taken for one of these."""
    nodes = facts.image_nodes
    return nodes * 2 if len(nodes) == request.cluster_size > 1 else nodes


def _slots_of(request: SessionRequest, facts: Facts) -> ResourceSlots:
    """What each kernel gets: as asked, else the default, within what the image needs and allows."""
    asked = _parse_slots(request.resources, facts.slot_names)
    slots = ResourceSlots({**_defaults_of(request, facts), **asked})
    wrong = {
        f"config.resources.{name}": f"{format_amount(slots[name])} is less than the image's "
        f"minimum {format_amount(amount)}"
        for name, amount in facts.image.minimum_slots().items()
        if slots[name] < amount
    }
    wrong |= {
        f"config.resources.{name}": f"{format_amount(slots[name])} is more than the image's "
        f"maximum {format_amount(amount)}"
        for name, amount in facts.image.maximum_slots().items()
        if slots[name] > amount
    }
    if wrong:
        raise InvalidParams(facts=wrong)
    return ResourceSlots({name: amount for name, amount in slots.items() if amount > 0})


def _defaults_of(request: SessionRequest, facts: Facts) -> dict[SlotName, Decimal]:
    """The defaults, cut to what the policies allow: nobody is refused for what he did not ask."""
    least = facts.image.minimum_slots()
    return {
        name: max(least[name], _cut(name, amount, facts.limits, request.cluster_size))
        for name, amount in facts.image.default_slots().items()
    }


def _cut(name: SlotName, amount: Decimal, limits: Limits, kernel_count: int) -> Decimal:
    """An even share of the limit where that is less, unless it is nothing."""
    share = limits.most_of(name) / kernel_count
    if share >= amount:
        return amount
    step = _CPU_STEP if name == CPU else _STEP
    return share.quantize(step, ROUND_DOWN) or amount


def _parse_slots(given: Mapping[str, object], known: frozenset[str]) -> dict[SlotName, Decimal]:
    problems: dict[str, str] = {}
    slots: dict[SlotName, Decimal] = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            amount = ResourceSlots.parse({name: value})[SlotName(name)]
        except SlotError as error:
            problems[f"config.resources.{name[:64]}"] = str(error)
            continue
        problem = _problem_of(SlotName(name), amount, known)
        if problem:
            problems[f"config.resources.{name[:64]}"] = problem
        slots[SlotName(name)] = amount
    if problems:
        raise InvalidParams(facts=problems)
    return slots


def _problem_of(name: SlotName, amount: Decimal, known: frozenset[str]) -> str | None:
    if name not in known and name not in BUILT_IN_SLOTS:
        return f"no node has such a slot; known: {', '.join(sorted(known | BUILT_IN_SLOTS))}"
    if not amount.is_finite():
        return "a session cannot have an unlimited amount"
    if amount == 0 and name in BUILT_IN_SLOTS:
        return "must be more than zero"
    return None


def _shared_memory_of(request: SessionRequest, image: Image, slots: ResourceSlots) -> Decimal:
    """Bytes of /dev/shm: as asked, else as the image prefers; it is part of `mem`."""
    text = request.resource_opts.get("shmem")
    if text is None:
        return min(image.shared_memory(), slots[MEM] // 2)
    try:
        size = parse_size(str(text))
    except SlotError as error:
        raise InvalidParams(facts={"config.resource_opts.shmem": str(error)}) from None
    if not SHARED_MEMORY_BYTES_MIN <= size < slots[MEM]:
        problem = f"{text} must be at least 64k and below the memory of {format_amount(slots[MEM])}"
        raise InvalidParams(facts={"config.resource_opts.shmem": problem})
    return size


def _check_limits(request: SessionRequest, facts: Facts, slots: ResourceSlots) -> None:
    if request.cluster_size > facts.limits.containers_max:
        raise QuotaExceeded(
            f"A session may have at most {facts.limits.containers_max} containers.",
            {"clusterSize": request.cluster_size, "limit": facts.limits.containers_max},
        )
    total = _times(slots, request.cluster_size)
    exceeded = facts.limits.exceeded_by(total)
    if exceeded:
        raise QuotaExceeded("This is more than you may ever use at once.", exceeded)
    # A session of one node is placed whole on it, one of several a kernel at a time.
    is_spread = request.cluster_mode is ClusterMode.MULTI_NODE
    together = slots if is_spread else total
    if facts.capacities and not any(together.fits_in(node) for node in facts.capacities):
        what = "a kernel of this session" if is_spread else "this session"
        raise InvalidParams(
            f"No node of resource group {facts.resource_group} can hold {what}.",
            _largest(together, facts.capacities),
        )


def _largest(total: ResourceSlots, capacities: tuple[ResourceSlots, ...]) -> dict[str, str]:
    """What no node has so much of; everything, when there is each but not on one node."""
    largest = {name: max(node[name] for node in capacities) for name in total}
    beyond = [name for name, amount in total.items() if amount > largest[name]]
    return {
        f"config.resources.{name}": f"asked {tell_amount(name, total[name])} in all, the largest"
        f" node has {tell_amount(name, largest[name])}"
        for name in beyond or total
    }


def _kernels_of(
    request: SessionRequest, image: Image, slots: ResourceSlots, shared_memory: int, ids: IdSource
) -> tuple[NewKernel, ...]:
    roles = [(ClusterRole.MAIN, 1)]
    roles += [(ClusterRole.SUB, index) for index in range(1, request.cluster_size)]
    return tuple(
        NewKernel(
            id=KernelId(ids.uuid()),
            cluster_role=role,
            cluster_index=index,
            cluster_hostname=f"{role.value}{index}",
            image=image.name,
            image_id=image.id,
            architecture=image.architecture,
            requested_slots=slots.to_json(),
            shared_memory_bytes=shared_memory,
        )
        for role, index in roles
    )


def _times(slots: ResourceSlots, count: int) -> ResourceSlots:
    return ResourceSlots({name: amount * count for name, amount in slots.items()})
