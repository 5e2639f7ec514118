"""Images and registries: what is changed is asked once, and what is refused is its own fault."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from backendai.client.channel import Channel
from backendai.client.faults import BadUsage, ConnectionLost
from backendai.client.images import Images
from backendai.client.registries import Registries
from backendai.common.faults import (
    Conflict,
    Fault,
    ImageNotFound,
    InsufficientPrivilege,
    RegistryNotFound,
)
from tests.unit.client.scripted import erred, open_channel, told

Change = Callable[[Channel], Awaitable[Any]]
CHANGES: dict[str, Change] = {
    "rescan_images": lambda channel: Images(channel).rescan("cr"),
    "preload_image": lambda channel: Images(channel).preload(["python"], ["i-1"]),
    "unload_image": lambda channel: Images(channel).unload(["python"], ["i-1"]),
    "alias_image": lambda channel: Images(channel).alias("py", "python"),
    "dealias_image": lambda channel: Images(channel).dealias("py"),
    "forget_image": lambda channel: Images(channel).forget("python"),
    "clear_images": lambda channel: Images(channel).clear("cr"),
    "modify_image": lambda channel: Images(channel).limit("python", {"cpu": "1"}, {}),
    "create_container_registry": lambda channel: Registries(channel).add("cr", "http://cr"),
    "modify_container_registry": lambda channel: Registries(channel).modify("cr", {}),
    "delete_container_registry": lambda channel: Registries(channel).delete("cr"),
}
# Those whose answer has no `ok` refuse by an error of the query.
BARE = [root for root in CHANGES if "registry" in root]


@pytest.mark.parametrize("root", CHANGES)
async def test_a_change_whose_answer_was_lost_is_not_asked_again(root: str) -> None:
    channel, transport = open_channel(ConnectionLost("cut"), told(root, {"ok": True}))
    with pytest.raises(ConnectionLost):
        await CHANGES[root](channel)
    assert len(transport.sent) == 1
    document = msgspec.json.decode(transport.sent[0].body)["query"]
    assert document.startswith("mutation(")
    assert f" {{ {root}(" in document


async def test_a_query_is_asked_once_unless_it_says_that_it_reads() -> None:
    channel, transport = open_channel(ConnectionLost("cut"), told("images", None))
    with pytest.raises(ConnectionLost):
        await channel.query("mutation { freeze { ok } }", {})
    assert await Images(channel).list() == ()
    assert len(transport.sent) == 2


@pytest.mark.parametrize("root", CHANGES)
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("no permission to execute it", InsufficientPrivilege),
        (str(ImageNotFound("python")), ImageNotFound),
        (str(RegistryNotFound("cr")), RegistryNotFound),
        (str(Conflict("There is one.")), Conflict),
        ("url: write an address", BadUsage),
    ],
)
async def test_a_refusal_is_the_fault_that_it_tells_of(
    root: str, message: str, kind: type[Fault]
) -> None:
    answer = erred(message) if root in BARE else told(root, {"ok": False, "msg": message})
    channel, _ = open_channel(answer)
    with pytest.raises(kind) as caught:
        await CHANGES[root](channel)
    assert str(caught.value).endswith(message)


async def test_registries_are_read_whole() -> None:
    config = {"url": "http://cr", "type": "docker", "project": ["stable"], "password": "*****"}
    channel, transport = open_channel(
        told("container_registries", [{"hostname": "cr", "config": config}])
    )
    (found,) = await Registries(channel).list()
    assert (found.hostname, found.config.project, found.config.username) == ("cr", ["stable"], None)
    asked = msgspec.json.decode(transport.sent[0].body)["query"]
    assert "hostname config { url type project username password ssl_verify }" in asked
