"""Policies, presets, groups and nodes: what is changed is asked once, and refused by name."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from backendai.client.channel import Channel
from backendai.client.faults import BadUsage, ConnectionLost
from backendai.client.resources.agents import Agents
from backendai.client.resources.policies import KeypairPolicies, ProjectPolicies, UserPolicies
from backendai.client.resources.presets import Presets
from backendai.client.resources.resource_groups import ResourceGroups
from backendai.common.faults import Conflict, Fault, InsufficientPrivilege, PresetNotFound
from tests.unit.client.scripted import open_channel, told

Change = Callable[[Channel], Awaitable[Any]]
CHANGES: dict[str, Change] = {
    "create_keypair_resource_policy": lambda channel: KeypairPolicies(channel).create("p"),
    "modify_user_resource_policy": lambda channel: UserPolicies(channel).modify("p"),
    "delete_project_resource_policy": lambda channel: ProjectPolicies(channel).delete("p"),
    "create_resource_preset": lambda channel: Presets(channel).create("small"),
    "modify_resource_preset": lambda channel: Presets(channel).modify("small", shared_memory=1),
    "delete_resource_preset": lambda channel: Presets(channel).delete("small"),
    "create_scaling_group": lambda channel: ResourceGroups(channel).create("gpu"),
    "modify_scaling_group": lambda channel: ResourceGroups(channel).modify("gpu", is_active=False),
    "delete_scaling_group": lambda channel: ResourceGroups(channel).delete("gpu"),
    "modify_agent": lambda channel: Agents(channel).pause("node-3"),
    "associate_scaling_group_with_domain": lambda channel: ResourceGroups(channel).allow_domain(
        "gpu", "lab"
    ),
    "disassociate_scaling_group_with_keypair": lambda channel: ResourceGroups(
        channel
    ).disallow_keypair("gpu", "AKIA"),
}


@pytest.mark.parametrize("root", CHANGES)
async def test_a_change_whose_answer_was_lost_is_not_asked_again(root: str) -> None:
    channel, transport = open_channel(ConnectionLost("cut"), told(root, {"ok": True}))
    with pytest.raises(ConnectionLost):
        await CHANGES[root](channel)
    assert len(transport.sent) == 1
    document = msgspec.json.decode(transport.sent[0].body)["query"]
    assert document.startswith("mutation(")
    assert f" {{ {root}(" in document


@pytest.mark.parametrize("root", CHANGES)
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("no permission to execute it", InsufficientPrivilege),
        (str(PresetNotFound("small")), PresetNotFound),
        (str(Conflict("There is one.")), Conflict),
        ("name: write 1 to 64 characters", BadUsage),
    ],
)
async def test_a_refusal_is_the_fault_that_it_tells_of(
    root: str, message: str, kind: type[Fault]
) -> None:
    channel, _ = open_channel(told(root, {"ok": False, "msg": message}))
    with pytest.raises(kind) as caught:
        await CHANGES[root](channel)
    assert str(caught.value).endswith(message)


async def test_objects_and_sizes_travel_as_text() -> None:
    made = {"name": "small", "resource_slots": '{"cpu": "1"}', "shared_memory": 64}
    answer = {"ok": True, "msg": "", "resource_preset": made}
    channel, transport = open_channel(told("create_resource_preset", answer))
    preset = await Presets(channel).create("small", resource_slots={"cpu": 1}, shared_memory=64)
    assert (preset.resource_slots, preset.shared_memory) == ({"cpu": "1"}, 64)
    props = msgspec.json.decode(transport.sent[0].body)["variables"]["props"]
    assert props == {"resource_slots": '{"cpu":1}', "shared_memory": "64"}
