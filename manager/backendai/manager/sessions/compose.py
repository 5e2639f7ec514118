"""PURE: a checked request and what was looked up for it become the session that is stored.

Refused here is what could never run: slots that nobody has, less than the image needs, more than
any limit or any node of the group. What merely does not fit now waits in the queue.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

from backendai.common.enums import ClusterMode, ClusterRole
from backendai.common.faults import (
    ImageNotFound,
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

from .model import RoleRequest, SessionRequest

BUILT_IN_SLOTS: Final = frozenset({CPU, MEM})
SHARED_MEMORY_BYTES_MIN: Final = Decimal(64 * 1024)
# Defaults that a limit cuts are cut to steps of these: hundredths of a core, whole bytes.
_CPU_STEP: Final = Decimal("0.01")
_STEP: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was looked up. `images` are by name and architecture. `capacities` are the whole nodes
    of the group, empty when it has none."""

    owner: Actor
    asker: Actor
    images: Mapping[tuple[str, str], Image]
    project_id: uuid.UUID
    resource_group: str
    limits: Limits
    slot_names: frozenset[str]
    capacities: tuple[ResourceSlots, ...]
    depends_on: tuple[SessionId, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """Kernels that are alike, with what each of them gets."""

    role: ClusterRole
    replicas: int
    image: Image
    slots: ResourceSlots
    shared_memory: Decimal


def compose_session(request: SessionRequest, facts: Facts, ids: IdSource) -> NewSession:
    """The session to store. Raises InvalidParams, QuotaExceeded and the like, with facts."""
    _refuse_unoffered(request, facts)
    parts = [_part_of(kind, request, facts) for kind in request.kinds()]
    total = _sum(parts)
    _check_limits(request, facts, parts, total)
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
        kernels=_kernels_of(parts, ids),
        requested_slots=total.to_json(),
        tag=request.tag,
        priority=request.priority,
        startup_command=request.startup_command,
        bootstrap_script=request.bootstrap_script or facts.owner.bootstrap_script or None,
        callback_url=request.callback_url,
        environ=request.environ,
        resource_opts={**request.resource_opts, "shmem": format_amount(parts[0].shared_memory)},
        designated_agents=request.agents,
        preopen_ports=request.preopen_ports,
        starts_at=request.starts_at,
        depends_on=facts.depends_on,
    )


def refuse_absent(holders: Mapping[str, Collection[str]], mode: ClusterMode) -> None:
    """`holders` are the nodes of each image that no registry has: there must be one, and one in
    common where the session is of a single node. Raises ImageNotFound."""
    for image, nodes in holders.items():
        if not nodes:
            raise ImageNotFound("No node has it any more.", {"image": image})
    every = [set(nodes) for nodes in holders.values()]
    if every and mode is ClusterMode.SINGLE_NODE and not set.intersection(*every):
        raise ImageNotFound(
            "No node has all of the images: let the session be over several nodes (multi-node).",
            {"images": ", ".join(sorted(holders))},
        )


def _refuse_unoffered(request: SessionRequest, facts: Facts) -> None:
    if request.agents and not facts.asker.is_superadmin:
        raise InsufficientPrivilege("Only a superadmin may choose the agents.")
    wanted = request.cluster_size if request.cluster_mode is ClusterMode.MULTI_NODE else 1
    if request.agents and len(request.agents) != wanted:
        raise InvalidParams(facts={"config.agentList": f"name {wanted}, not {len(request.agents)}"})


def _part_of(kind: RoleRequest, request: SessionRequest, facts: Facts) -> _Part:
    image = facts.images[kind.image, kind.architecture]
    slots = _slots_of(kind, image, request.cluster_size, facts)
    return _Part(
        kind.role, kind.replicas, image, slots, _shared_memory_of(kind.resource_opts, image, slots)
    )


def _slots_of(kind: RoleRequest, image: Image, kernel_count: int, facts: Facts) -> ResourceSlots:
    """What each kernel gets: as asked, else the default, within what the image needs and allows."""
    asked = _parse_slots(kind.resources, facts.slot_names)
    slots = ResourceSlots({**_defaults_of(image, kernel_count, facts.limits), **asked})
    wrong = {
        f"config.resources.{name}": f"{format_amount(slots[name])} is less than the image's "
        f"minimum {format_amount(amount)}"
        for name, amount in image.minimum_slots().items()
        if slots[name] < amount
    }
    wrong |= {
        f"config.resources.{name}": f"{format_amount(slots[name])} is more than the image's "
        f"maximum {format_amount(amount)}"
        for name, amount in image.maximum_slots().items()
        if slots[name] > amount
    }
    if wrong:
        raise InvalidParams(facts=wrong)
    return ResourceSlots({name: amount for name, amount in slots.items() if amount > 0})


def _defaults_of(image: Image, kernel_count: int, limits: Limits) -> dict[SlotName, Decimal]:
    """The defaults, cut to what the policies allow: nobody is refused for what he did not ask."""
    least = image.minimum_slots()
    return {
        name: max(least[name], _cut(name, amount, limits, kernel_count))
        for name, amount in image.default_slots().items()
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


def _shared_memory_of(options: Mapping[str, object], image: Image, slots: ResourceSlots) -> Decimal:
    """Bytes of /dev/shm: as asked, else as the image prefers; it is part of `mem`."""
    text = options.get("shmem")
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


def _check_limits(
    request: SessionRequest, facts: Facts, parts: Sequence[_Part], total: ResourceSlots
) -> None:
    if request.cluster_size > facts.limits.containers_max:
        raise QuotaExceeded(
            f"A session may have at most {facts.limits.containers_max} containers.",
            {"clusterSize": request.cluster_size, "limit": facts.limits.containers_max},
        )
    exceeded = facts.limits.exceeded_by(total)
    if exceeded:
        raise QuotaExceeded("This is more than you may ever use at once.", exceeded)
    # A session of one node is placed whole on it, one of several a kernel at a time.
    is_spread = request.cluster_mode is ClusterMode.MULTI_NODE
    what = "a kernel of this session" if is_spread else "this session"
    for together in [part.slots for part in parts] if is_spread else [total]:
        if facts.capacities and not any(together.fits_in(node) for node in facts.capacities):
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


def _kernels_of(parts: Sequence[_Part], ids: IdSource) -> tuple[NewKernel, ...]:
    """Sub kernels are counted on through all parts."""
    members = [part for part in parts for _ in range(part.replicas)]
    counts: Counter[ClusterRole] = Counter()
    kernels = []
    for part in members:
        counts[part.role] += 1
        kernels.append(_kernel_of(part, counts[part.role], ids))
    return tuple(kernels)


def _kernel_of(part: _Part, index: int, ids: IdSource) -> NewKernel:
    return NewKernel(
        id=KernelId(ids.uuid()),
        cluster_role=part.role,
        cluster_index=index,
        cluster_hostname=f"{part.role.value}{index}",
        image=part.image.name,
        image_id=part.image.id,
        architecture=part.image.architecture,
        requested_slots=part.slots.to_json(),
        shared_memory_bytes=int(part.shared_memory),
    )


def _sum(parts: Sequence[_Part]) -> ResourceSlots:
    total: dict[SlotName, Decimal] = {}
    for part in parts:
        for name, amount in part.slots.items():
            total[name] = total.get(name, Decimal(0)) + amount * part.replicas
    return ResourceSlots(total)
