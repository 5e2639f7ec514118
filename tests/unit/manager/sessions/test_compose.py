"""What a request and its facts become, and what is refused because it could never run."""

import uuid
from typing import Any

import pytest

from backendai.common.enums import ClusterMode, ClusterRole, UserRole
from backendai.common.faults import (
    ImageNotFound,
    InsufficientPrivilege,
    InvalidParams,
    QuotaExceeded,
)
from backendai.common.ids import SeededIds
from backendai.common.slots import ResourceSlots
from backendai.manager.gate.actor import Actor
from backendai.manager.images.model import MINIMUM_PREFIX, Image
from backendai.manager.lifecycle.model import NewSession
from backendai.manager.policies.model import Limits, SlotLimit
from backendai.manager.sessions.compose import Facts, compose_session, refuse_absent
from backendai.manager.sessions.model import RoleRequest, SessionRequest

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
    images = [
        Image(uuid.UUID(int=number), name, "x86_64", "", "1", "", 0, found)
        for number, name, found in (
            (5, "x:1", LABELS if labels is None else labels),
            (6, "small:1", {}),
        )
    ]
    facts = Facts(
        owner=OWNER,
        asker=OWNER,
        images={(image.name, image.architecture): image for image in images},
        project_id=uuid.UUID(int=2),
        resource_group="default",
        limits=limits or Limits(10, 4),
        slot_names=frozenset({"cpu", "mem", "cuda.device"}),
        capacities=capacities,
    )
    request = SessionRequest(**{"name": "demo", "image": "x:1", **fields})
    return compose_session(request, facts, SeededIds(1))


GIB = 1 << 30


def test_a_session_goes_where_alone_its_image_is() -> None:
    assert compose().designated_agents == ()


@pytest.mark.parametrize(
    ("labels", "resources", "wanted"),
    [
        ({}, {}, {"cpu": "1", "mem": str(GIB)}),
        (LABELS, {}, {"cpu": "1", "mem": str(GIB)}),
        (LABELS, {"mem": "256m"}, {"cpu": "1", "mem": str(GIB // 4)}),
        (LABELS, {"cpu": "2", "mem": None}, {"cpu": "2", "mem": str(GIB)}),
        ({f"{MINIMUM_PREFIX}mem": "2g"}, {}, {"cpu": "1", "mem": str(2 * GIB)}),
        ({f"{MINIMUM_PREFIX}cpu": "4"}, {}, {"cpu": "4", "mem": str(GIB)}),
        ({f"{MINIMUM_PREFIX}cpu": "0.1"}, {}, {"cpu": "1", "mem": str(GIB)}),
        (
            {f"{MINIMUM_PREFIX}cuda.device": "1"},
            {},
            {"cpu": "1", "mem": str(GIB), "cuda.device": "1"},
        ),
    ],
)
def test_what_is_not_asked_for_is_the_default_or_the_minimum_of_the_image(
    labels: dict[str, str], resources: dict[str, Any], wanted: dict[str, str]
) -> None:
    kernel = compose(labels=labels, resources=resources).kernels[0]
    assert kernel.requested_slots == wanted
    assert kernel.shared_memory_bytes == 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("limit", "size", "wanted"),
    [
        ({"cpu": "8", "mem": "8g"}, 1, {"cpu": "1", "mem": str(GIB)}),
        ({"cpu": "0.5", "mem": "512m"}, 1, {"cpu": "0.5", "mem": str(GIB // 2)}),
        ({"cpu": "2", "mem": "2g"}, 3, {"cpu": "0.66", "mem": str(2 * GIB // 3)}),
        ({"mem": "Infinity"}, 2, {"cpu": "1", "mem": str(GIB)}),
    ],
)
def test_defaults_are_cut_to_what_the_policies_allow(
    limit: dict[str, str], size: int, wanted: dict[str, str]
) -> None:
    limits = Limits(
        10,
        4,
        {
            "keypair": SlotLimit(ResourceSlots.parse(limit)),
            "domain": SlotLimit(ResourceSlots.of(mem="64g")),
        },
    )
    made = compose(labels={}, limits=limits, cluster_size=size)
    assert made.kernels[0].requested_slots == wanted


def test_a_limit_below_the_minimum_of_the_image_is_told() -> None:
    limits = Limits(10, 4, {"keypair": SlotLimit(ResourceSlots.of(cpu=4, mem="96m"))})
    with pytest.raises(QuotaExceeded) as told:
        compose(limits=limits)
    assert list(told.value.facts) == ["keypair.mem"]
    nothing = Limits(10, 4, {"keypair": SlotLimit(ResourceSlots.of(cpu=4, mem=0))})
    with pytest.raises(QuotaExceeded):
        compose(limits=nothing)


def test_default_shared_memory_lies_within_a_small_memory() -> None:
    kernel = compose(labels={}, resources={"mem": "64m"}).kernels[0]
    assert kernel.shared_memory_bytes == 32 * 1024 * 1024


def test_labels_without_sense_count_as_absent() -> None:
    odd = {"ai.backend.resource.min.mem": "lots", "ai.backend.resource.preferred.shmem": "x"}
    assert compose(labels=odd).kernels[0].requested_slots["mem"] == str(GIB)


def test_a_cluster_has_one_main_and_numbered_subs() -> None:
    new = compose(cluster_size=3)
    assert [kernel.cluster_hostname for kernel in new.kernels] == ["main1", "sub1", "sub2"]
    assert new.requested_slots == {"cpu": "3", "mem": str(3 * GIB)}


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"resources": {"mem": "64m"}}, "config.resources.mem"),
        ({"resources": {"tpu": "1"}}, "config.resources.tpu"),
        ({"resources": {"cpu": "Infinity"}}, "config.resources.cpu"),
        ({"resource_opts": {"shmem": "1g"}}, "config.resource_opts.shmem"),
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
        compose(limits=small, cluster_size=3, resources={"cpu": "1"})
    assert told.value.facts == {"project.cpu": "asked 3, limit 2"}
    node = ResourceSlots.of(cpu=2, mem="8g")
    with pytest.raises(InvalidParams):
        compose(capacities=(node,), resources={"cpu": "3"})
    with pytest.raises(InvalidParams):
        compose(capacities=(node,), cluster_size=3)
    assert compose(capacities=(node,), cluster_size=2)
    with pytest.raises(QuotaExceeded):
        compose(cluster_size=5)


def test_only_what_is_too_much_for_a_node_is_named() -> None:
    nodes = (ResourceSlots.of(cpu=2, mem=24_202_772_480), ResourceSlots.of(cpu=8, mem=GIB))
    with pytest.raises(InvalidParams) as caught:
        compose(resources={"cpu": "99"}, capacities=nodes)
    assert caught.value.facts == {"config.resources.cpu": "asked 99 in all, the largest node has 8"}
    with pytest.raises(InvalidParams) as caught:
        compose(resources={"cpu": "1", "mem": "1t"}, capacities=nodes)
    assert caught.value.facts == {
        "config.resources.mem": "asked 1t in all, the largest node has 23081m"
    }


def test_what_only_different_nodes_have_is_told_whole() -> None:
    nodes = (ResourceSlots.of(cpu=2, mem="8g"), ResourceSlots.of(cpu=8, mem=GIB))
    with pytest.raises(InvalidParams) as caught:
        compose(resources={"cpu": "8", "mem": "8g"}, capacities=nodes)
    assert sorted(caught.value.facts) == ["config.resources.cpu", "config.resources.mem"]


def test_only_a_superadmin_chooses_the_agents() -> None:
    with pytest.raises(InsufficientPrivilege):
        compose(agents=("i-1",))


def test_a_kernel_of_a_session_over_several_nodes_needs_a_node_that_holds_it() -> None:
    node = ResourceSlots.of(cpu=1, mem="1g")
    wide = {"cluster_size": 3, "cluster_mode": ClusterMode.MULTI_NODE, "capacities": (node,)}
    made = compose(resources={"cpu": "1", "mem": "512m"}, **wide)
    assert [kernel.cluster_hostname for kernel in made.kernels] == ["main1", "sub1", "sub2"]
    with pytest.raises(InvalidParams, match="a kernel of this session"):
        compose(resources={"cpu": "2", "mem": "512m"}, **wide)


def test_images_that_no_registry_has_are_on_nodes_that_the_session_can_have() -> None:
    apart = {"a:1": ["n1"], "b:1": ["n2", "n3"]}
    refuse_absent({}, ClusterMode.SINGLE_NODE)
    refuse_absent(apart, ClusterMode.MULTI_NODE)
    refuse_absent({**apart, "a:1": ["n1", "n3"]}, ClusterMode.SINGLE_NODE)
    with pytest.raises(ImageNotFound, match="No node has all of the images") as caught:
        refuse_absent(apart, ClusterMode.SINGLE_NODE)
    assert caught.value.facts == {"images": "a:1, b:1"}
    with pytest.raises(ImageNotFound, match="No node has it any more") as caught:
        refuse_absent({**apart, "b:1": []}, ClusterMode.MULTI_NODE)
    assert caught.value.facts == {"image": "b:1"}


def test_kernels_of_several_kinds_have_each_their_image_and_slots() -> None:
    roles = (
        RoleRequest(
            role=ClusterRole.SUB, replicas=2, image="small:1", resources={"cpu": "1", "mem": "1g"}
        ),
        RoleRequest(
            role=ClusterRole.MAIN, replicas=1, image="x:1", resources={"cpu": "4", "mem": "2g"}
        ),
        RoleRequest(
            role=ClusterRole.SUB, replicas=1, image="x:1", resources={"cpu": "2", "mem": "2g"}
        ),
    )
    wide = {"cluster_size": 4, "cluster_mode": ClusterMode.MULTI_NODE, "roles": roles}
    made = compose(capacities=(ResourceSlots.of(cpu=4, mem="2g"),), **wide)
    assert [
        (kernel.cluster_hostname, kernel.image, kernel.requested_slots["cpu"])
        for kernel in made.kernels
    ] == [
        ("main1", "x:1", "4"),
        ("sub1", "small:1", "1"),
        ("sub2", "small:1", "1"),
        ("sub3", "x:1", "2"),
    ]
    assert made.requested_slots["cpu"] == "8"
    with pytest.raises(InvalidParams, match="a kernel of this session"):
        compose(capacities=(ResourceSlots.of(cpu=3, mem="2g"),), **wide)
