"""Containers on a Docker engine (or what speaks its API). Labels and names carry all our state."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import docker.errors

from backendai.agent import labels
from backendai.agent.backends.backend import Accounts, Change, Listing, Progress, Whereabouts
from backendai.agent.exits import ExitFacts
from backendai.agent.faults import (
    ContainerMissing,
    EngineRefused,
    EngineUnreachable,
    ImageInUse,
)
from backendai.agent.profile import Profile
from backendai.common.clock import Clock
from backendai.common.contracts.agent import ImageReport, RegistryLogin, SwarmReport
from backendai.common.failpoints import failpoint
from backendai.common.faults import QuotaExceeded
from backendai.common.logs import get_logger
from backendai.common.metrics import CallMeter
from backendai.common.spans import SpanKind
from backendai.common.tracing import span

from .bodies import (
    commit_body,
    create_body,
    parse_time,
    read_exit,
    read_image,
    read_listing,
    split_reference,
)
from .bridges import Bridges
from .client import Api, DockerClient, words_of
from .overlays import Overlays
from .pulls import follow_pull

log = get_logger(__name__)

RESUME_SECONDS: Final = 0.3
OUTPUT_LINES: Final = 20
OUTPUT_CHARS_MAX: Final = 2000
ACCOUNTS_BYTES_MAX: Final = 256 * 1024
_HINTS: Final = ("create", "start", "die", "destroy", "oom", "pause", "unpause", "kill")


class DockerBackend:
    """The containers of `agent_id` on the engine at `url`, whose calls `calls` measures."""

    name = "docker"
    shares_host_network = False

    def __init__(
        self,
        url: str,
        agent_id: str,
        bridges: Bridges,
        clock: Clock,
        calls: CallMeter | None = None,
        overlays: Overlays | None = None,
    ) -> None:
        self._client = DockerClient(url, calls)
        self._agent_id = agent_id
        self._bridges = bridges
        self._overlays = overlays or Overlays()
        self._clock = clock
        self._images: dict[str, Mapping[str, Any]] = {}
        self._networks: set[str] = set()
        self._network_lock = asyncio.Lock()
        self._probe_lock = asyncio.Lock()

    async def list_containers(self) -> Listing:
        filters = {"label": [f"{labels.AGENT}={self._agent_id}"]}
        rows = await self._client.ask(lambda api: api.containers(all=True, filters=filters))
        return read_listing(rows, self._agent_id)

    async def watch(self) -> AsyncIterator[Change]:
        since = self._clock.now().timestamp()
        while True:
            try:
                async for event in self._client.stream(self._events_since(since)):
                    since = max(since, event["timeNano"] / 1e9)
                    yield Change(str(event["Actor"]["ID"]), event["Action"] == "die")
            except (EngineUnreachable, EngineRefused) as fault:
                log.info("engine.events_interrupted", detail=fault.detail)
            yield Change()
            await self._clock.sleep(RESUME_SECONDS)

    def _events_since(self, since: float) -> Callable[[Api], Any]:
        filters = {
            "type": ["container"],
            "event": list(_HINTS),
            "label": [f"{labels.AGENT}={self._agent_id}"],
        }
        return lambda api: api.events(since=f"{since:.9f}", decode=True, filters=filters)

    async def create(self, profile: Profile) -> str:
        wish = profile.network
        network = wish.name if wish.is_spread else self._bridges.network_of(wish.name)
        body = create_body(profile, network)
        await failpoint("agent.docker.before_create")
        container_id = await self._client.work(lambda api: _create(api, body, profile))
        await failpoint("agent.docker.after_create")
        return container_id

    async def start(self, container_id: str) -> None:
        await failpoint("agent.docker.before_start")
        try:
            await self._client.work(lambda api: api.start(container_id))
        except (ContainerMissing, EngineRefused):
            # A network may have been removed by somebody: make sure of it before the next start.
            self._networks.clear()
            raise
        await failpoint("agent.docker.after_start")

    async def terminate(self, container_id: str) -> None:
        await failpoint("agent.docker.before_terminate")
        await self._client.work(lambda api: _tolerate(api.kill, container_id, signal="SIGTERM"))
        await failpoint("agent.docker.after_terminate")

    async def remove(self, container_id: str) -> None:
        await failpoint("agent.docker.before_remove")
        await self._client.work(
            lambda api: _tolerate(api.remove_container, container_id, v=True, force=True)
        )
        await failpoint("agent.docker.after_remove")

    async def exit_facts(self, container_id: str) -> ExitFacts:
        details = await self._client.ask(lambda api: api.inspect_container(container_id))
        return read_exit(details["State"])

    async def read_output(self, container_id: str) -> str:
        data = await self._client.ask(lambda api: api.logs(container_id, tail=OUTPUT_LINES))
        return str(data.decode("utf-8", "replace"))[-OUTPUT_CHARS_MAX:].strip()

    async def locate(self, container_id: str) -> Whereabouts:
        details = await self._client.ask(lambda api: api.inspect_container(container_id))
        state = details["State"]
        if not state.get("Pid"):
            raise ContainerMissing(f"container {container_id[:12]} does not run")
        return Whereabouts(int(state["Pid"]), parse_time(state.get("StartedAt")) or 0.0)

    async def image_root(self) -> Path:
        facts = await self._client.ask(lambda api: api.info())
        return Path(facts["DockerRootDir"])

    async def list_images(self) -> list[ImageReport]:
        rows = await self._client.ask(lambda api: api.images())
        known = {row["Id"]: self._images.get(row["Id"]) for row in rows}
        for image_id in [one for one, details in known.items() if details is None]:
            known[image_id] = await self._inspect_image(image_id)
        self._images = {key: value for key, value in known.items() if value is not None}
        return [
            read_image(tag, details)
            for row in rows
            if (details := self._images.get(row["Id"])) is not None
            for tag in row.get("RepoTags") or []
            if tag != "<none>:<none>"
        ]

    async def find_image(self, name: str) -> ImageReport | None:
        details = await self._inspect_image(name)
        return None if details is None else read_image(name, details)

    async def _inspect_image(self, name: str) -> Mapping[str, Any] | None:
        try:
            details: Mapping[str, Any] = await self._client.ask(lambda api: api.inspect_image(name))
        except ContainerMissing:
            return None
        return details

    async def pull_image(self, name: str, login: RegistryLogin | None, progress: Progress) -> None:
        repository, tag = split_reference(name)
        auth = {"username": login.username, "password": login.password} if login else None
        await failpoint("agent.docker.before_pull")
        lines = self._client.stream(
            lambda api: api.pull(repository, tag, stream=True, decode=True, auth_config=auth)
        )
        # The login is no part of the name.
        with span("engine pull", SpanKind.CLIENT, {"image": name}):
            await follow_pull(name, lines, progress)
        await failpoint("agent.docker.after_pull")

    async def remove_image(self, name: str) -> None:
        await failpoint("agent.docker.before_remove_image")
        await self._client.work(lambda api: _remove_image(api, name))
        await failpoint("agent.docker.after_remove_image")

    async def commit(
        self, container_id: str, image: str, labels: Mapping[str, str], bytes_max: int
    ) -> None:
        await self._client.work(lambda api: _check_written(api, container_id, bytes_max))
        details = await self._client.ask(lambda api: api.inspect_container(container_id))
        base = await self._client.ask(lambda api: api.inspect_image(details["Image"]))
        body = commit_body(base["Config"], details["Config"], labels)
        repository, tag = split_reference(image)
        await failpoint("agent.docker.before_commit")
        # Not paused: an agent or engine that dies meanwhile would leave it frozen.
        await self._client.work_long(
            lambda api: api.commit(container_id, repository, tag, pause=False, conf=body)
        )
        await failpoint("agent.docker.after_commit")

    async def read_accounts(self, image: str) -> Accounts:
        """Reads them from a container that is never started: images cannot be read otherwise."""
        async with self._probe_lock:
            return await self._client.work(lambda api: _read_accounts(api, image, self._agent_id))

    async def ensure_network(self, name: str) -> None:
        async with self._network_lock:
            if name not in self._networks:
                await failpoint("agent.docker.before_network")
                await self._client.work(lambda api: self._bridges.ensure(api, name))
                await failpoint("agent.docker.after_network")
                self._networks.add(name)

    async def attach(self, container_id: str, network: str) -> None:
        await self.ensure_network(network)
        await failpoint("agent.docker.before_attach")
        await self._client.work(lambda api: self._bridges.attach(api, container_id, network))
        await failpoint("agent.docker.after_attach")

    async def read_swarm(self) -> SwarmReport:
        return await self._client.ask(self._overlays.read)

    async def ensure_cluster_network(self, name: str) -> None:
        await failpoint("agent.docker.before_cluster_network")
        await self._client.work(lambda api: self._overlays.ensure(api, name))
        await failpoint("agent.docker.after_cluster_network")

    async def remove_cluster_network(self, name: str) -> None:
        await failpoint("agent.docker.before_cluster_network_removal")
        await self._client.work(lambda api: self._overlays.remove(api, name))
        await failpoint("agent.docker.after_cluster_network_removal")

    async def sweep(self, in_use: Callable[[], Collection[str]]) -> None:
        async with self._probe_lock:
            await self._client.work(lambda api: _remove_probes(api, self._agent_id))
        async with self._network_lock:
            listed = await self._client.ask(self._bridges.list_names)
            unused = set(listed) - set(in_use())
            self._networks -= unused
            await self._client.work(lambda api: self._bridges.remove_all(api, unused))

    async def remove_network(self, name: str) -> None:
        async with self._network_lock:
            self._networks.discard(name)
            await self._client.work(lambda api: self._bridges.remove(api, name))

    async def close(self) -> None:
        await self._client.close()
        await asyncio.sleep(0)


def _create(api: Api, body: Mapping[str, Any], profile: Profile) -> str:
    try:
        return str(api.create_container_from_config(body, profile.name)["Id"])
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        # The name is taken: by an earlier try of the same order, or by somebody who is not us.
        details = api.inspect_container(profile.name)
        found = details["Config"].get("Labels") or {}
        if found.get(labels.SPEC_HASH) != profile.labels[labels.SPEC_HASH]:
            raise EngineRefused(words_of(error), {"status": 409}) from error
        return str(details["Id"])


def _remove_image(api: Api, name: str) -> None:
    try:
        api.remove_image(name)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        raise ImageInUse(words_of(error)) from error


def _check_written(api: Api, container_id: str, bytes_max: int) -> None:
    """Raises QuotaExceeded when the container has written more than `bytes_max` over its image."""
    rows = api.containers(all=True, size=True, filters={"id": container_id})
    written = sum(int(row.get("SizeRw") or 0) for row in rows)
    if written > bytes_max:
        raise QuotaExceeded(
            f"The session has written {written} bytes over its image; a new image may hold"
            f" {bytes_max}.",
            {"written_bytes": written, "limit_bytes": bytes_max},
        )


def _tolerate(call: Any, container_id: str, **options: Any) -> None:
    """What is gone, going or not running is as wanted."""
    try:
        call(container_id, **options)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise


def _read_accounts(api: Api, image: str, agent_id: str) -> Accounts:
    body = {"Image": image, "Entrypoint": ["/"], "Labels": {labels.PROBE: agent_id}}
    container_id = api.create_container_from_config(body)["Id"]
    try:
        return Accounts(
            passwd=_read_text(api, container_id, "/etc/passwd"),
            group=_read_text(api, container_id, "/etc/group"),
        )
    finally:
        api.remove_container(container_id, force=True)


def _remove_probes(api: Api, agent_id: str) -> None:
    """Containers of `_read_accounts` whose agent died before it removed them."""
    for row in api.containers(all=True, filters={"label": [f"{labels.PROBE}={agent_id}"]}):
        _tolerate(api.remove_container, row["Id"], force=True)


def _read_text(api: Api, container_id: str, path: str) -> str:
    """A small regular file of the image; empty when it is not there, or anything else."""
    try:
        pieces, _ = api.get_archive(container_id, path)
    except docker.errors.NotFound:
        return ""
    data = b"".join(_at_most(pieces, ACCOUNTS_BYTES_MAX))
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            first = archive.next()
            file = archive.extractfile(first) if first is not None and first.isreg() else None
            return file.read().decode("utf-8", "replace") if file is not None else ""
    except tarfile.TarError:
        return ""


def _at_most(pieces: Iterator[bytes], bytes_max: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        bytes_max -= len(piece)
        if bytes_max <= 0:
            return
