"""Images that sessions may use, and what superadmins do to them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backendai.client.channel import Channel
from backendai.client.graph import NO_FIELDS, Graph, Types
from backendai.client.results import ImageRow
from backendai.common.images import is_custom

PREFERRED: Final = "python"

# Mutation -> the types of its arguments.
_CHANGES: Final[Mapping[str, Types]] = {
    "rescan_images": {"registry": "String", "project": "String"},
    "preload_image": {"references": "[String]!", "target_agents": "[String]!"},
    "unload_image": {"references": "[String]!", "target_agents": "[String]!"},
    "alias_image": {"alias": "String!", "target": "String!", "architecture": "String"},
    "dealias_image": {"alias": "String!"},
    "forget_image": {"reference": "String!", "architecture": "String"},
    "clear_images": {"registry": "String"},
    "modify_image": {"target": "String!", "architecture": "String", "props": "ModifyImageInput!"},
}
_ARCHITECTURE: Final = "x86_64"


class Images:
    """`reference` is a canonical name, an alias or an id. Changes are a superadmin's, but that
    everybody may forget what they made of sessions.

    They raise ImageNotFound, InsufficientPrivilege and BadUsage, and are never asked twice: of one
    whose answer was lost (ConnectionLost) nobody knows whether it was done.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(self) -> tuple[ImageRow, ...]:
        return await self._graph.list(ImageRow, "images", {}, {})

    async def find_default(self) -> ImageRow | None:
        """What runs when nobody names an image: the first with Python, else the first of all.

        Never one that somebody made of a session: who sees everybody's would run their code.
        """
        listed = sorted(await self.list(), key=lambda image: image.reference)
        images = [image for image in listed if not is_custom(image.reference)]
        with_python = [image for image in images if PREFERRED in image.name]
        return next(iter(with_python or images), None)

    async def rescan(self, registry: str | None = None, project: str | None = None) -> str:
        """Look for images in a registry, on the nodes (`local`), or in all of these.

        Returns the id of the task that does it: `Client.tasks` follows it.
        """
        answer = await self._change(
            "rescan_images", {"registry": registry, "project": project}, "task_id"
        )
        return str(answer["task_id"])

    async def preload(self, references: Sequence[str], agents: Sequence[str]) -> str:
        """Have nodes pull images before sessions ask for them. Returns the id of the task."""
        return await self._begin("preload_image", references, agents)

    async def unload(self, references: Sequence[str], agents: Sequence[str]) -> str:
        """Remove images of registries from nodes where no session needs them. Returns the id of the
        task."""
        return await self._begin("unload_image", references, agents)

    async def _begin(self, root: str, references: Sequence[str], agents: Sequence[str]) -> str:
        given = {"references": list(references), "target_agents": list(agents)}
        return str((await self._change(root, given, "task_id"))["task_id"])

    async def alias(self, alias: str, reference: str, architecture: str = _ARCHITECTURE) -> None:
        """Let `alias` mean an image too."""
        given = {"alias": alias, "target": reference, "architecture": architecture}
        await self._change("alias_image", given)

    async def dealias(self, alias: str) -> None:
        await self._change("dealias_image", {"alias": alias})

    async def forget(self, reference: str, architecture: str = _ARCHITECTURE) -> None:
        """Nobody may use it any more, until a rescan finds it; custom ones are removed for good."""
        await self._change("forget_image", {"reference": reference, "architecture": architecture})

    async def clear(self, registry: str | None) -> None:
        """Forget all images of a registry, `local` those without one; None: all images."""
        await self._change("clear_images", {"registry": registry})

    async def limit(
        self,
        reference: str,
        minimum: Mapping[str, str],
        maximum: Mapping[str, str],
        architecture: str = _ARCHITECTURE,
    ) -> None:
        """Set what a kernel needs and gets at most of each slot; former limits go."""
        limits = [
            {"key": name, "min": minimum.get(name), "max": maximum.get(name)}
            for name in {**minimum, **maximum}
        ]
        await self.modify(reference, {"resource_limits": limits}, architecture)

    async def modify(
        self, reference: str, props: Mapping[str, Any], architecture: str = _ARCHITECTURE
    ) -> None:
        """`props` are fields of the API's ModifyImageInput; what is not named stays."""
        given = {"target": reference, "architecture": architecture, "props": dict(props)}
        await self._change("modify_image", given)

    async def _change(
        self, root: str, given: Mapping[str, Any], more: str = NO_FIELDS
    ) -> Mapping[str, Any]:
        return await self._graph.change(root, _CHANGES[root], given, more)
