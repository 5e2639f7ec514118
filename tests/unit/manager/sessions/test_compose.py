"""What a request and its facts become, and what is refused because it could never run."""

import uuid
from typing import Any

import pytest

from backendai.common.enums import ClusterMode, UserRole
from backendai.common.faults import (
    InsufficientPrivilege,
    InvalidParams,
    NotOffered,
    QuotaExceeded,
    VFolderNotFound,
)
from backendai.common.ids import SeededIds
from backendai.common.slots import ResourceSlots
from backendai.manager.gate.actor import Actor
from backendai.manager.images.model import Image
from backendai.manager.lifecycle.model import NewSession
from backendai.manager.policies.model import Limits, SlotLimit
from backendai.manager.sessions.compose import Facts, compose_session
from backendai.manager.sessions.model import SessionRequest

OWNER = Actor(
    "AK", uuid.UUID(int=1), "a@b", "a", "A", UserRole.USER, "default", False, "default", 100
)
LABELS = {"ai.backend.resource.min.cpu": "1", "ai.backend.resource.min.mem": "128m"}


def compose(
    labels: dict[str, str] | None = None,
    capacities: tuple[ResourceSlots, ...] = (),
    limits: Limits | None = None,
    **fields: Any,
) -> NewSession:
    image = Image(
        uuid.UUID(int=5), "x:1", "x86_64", "", "1", "", 0, LABELS if labels is None else labels
    )
    facts = Facts(
        owner=OWNER,
        asker=OWNER,
        image=image,
        project_id=uuid.UUID(int=2),
        resource_group="default",
        limits=limits or Limits(10, 4),
        slot_names=frozenset({"cpu", "mem", "cuda.device"}),
        capacities=capacities,
    )
    request = SessionRequest(**{"name": "demo", "image": "x:1", **fields})
    return compose_session(request, facts, SeededIds(1))


def test_the_image_says_what_a_session_gets_that_asks_for_nothing() -> None:
    kernel = compose().kernels[0]
    assert kernel.requested_slots == {"cpu": "1", "mem": "134217728"}
    assert kernel.shared_memory_bytes == 64 * 1024 * 1024
    plain = compose(labels={}).kernels[0]
    assert plain.requested_slots == {"cpu": "1", "mem": "536870912"}


def test_labels_without_sense_count_as_absent() -> None:
    odd = {"ai.backend.resource.min.mem": "lots", "ai.backend.resource.preferred.shmem": "x"}
    assert compose(labels=odd).kernels[0].requested_slots["mem"] == "536870912"


def test_a_cluster_has_one_main_and_numbered_subs() -> None:
    new = compose(cluster_size=3)
    assert [kernel.cluster_hostname for kernel in new.kernels] == ["main1", "sub1", "sub2"]
    assert new.requested_slots == {"cpu": "3", "mem": str(3 * 134217728)}


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"resources": {"mem": "64m"}}, "config.resources.mem"),
        ({"resources": {"tpu": "1"}}, "config.resources.tpu"),
        ({"resources": {"cpu": "Infinity"}}, "config.resources.cpu"),
        ({"resource_opts": {"shmem": "128m"}}, "config.resource_opts.shmem"),
        ({"resource_opts": {"shmem": "1k"}}, "config.resource_opts.shmem"),
    ],
)
def test_amounts_that_cannot_be_are_told_by_their_key(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidParams) as told:
        compose(**fields)
    assert list(told.value.facts) == [key]


def test_what_is_beyond_every_limit_or_node_is_refused() -> None:
    small = Limits(10, 4, {"project": SlotLimit(ResourceSlots.of(cpu=2))})
    with pytest.raises(QuotaExceeded) as told:
        compose(limits=small, cluster_size=3)
    assert told.value.facts == {"project.cpu": "asked 3, limit 2"}
    node = ResourceSlots.of(cpu=2, mem="8g")
    with pytest.raises(InvalidParams):
        compose(capacities=(node,), resources={"cpu": "3"})
    with pytest.raises(InvalidParams):
        compose(capacities=(node,), cluster_size=3)
    assert compose(capacities=(node,), cluster_size=2)
    with pytest.raises(QuotaExceeded):
        compose(cluster_size=5)


def test_what_is_not_offered_is_said() -> None:
    with pytest.raises(VFolderNotFound):
        compose(mounts=("data",))
    with pytest.raises(InsufficientPrivilege):
        compose(agents=("i-1",))
    with pytest.raises(NotOffered):
        compose(cluster_size=2, cluster_mode=ClusterMode.MULTI_NODE)
