"""A commit runs once however often it is asked for, and its image is what says that it is done."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from backendai.agent.commits import AT_ONCE_MAX, Commits
from backendai.agent.faults import BadOrder, EngineRefused
from backendai.agent.images import Images
from backendai.common.contracts.agent import COMMIT_LABEL, CommitKernel, ImageReport, KernelRef
from tests.unit.agent.fakes import FakeBackend

NAME = "custom/a/tools:1"


@dataclass
class CommittingBackend(FakeBackend):
    """Commits when `gate` opens, or refuses."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: str = ""

    async def commit(
        self, container_id: str, image: str, labels: Mapping[str, str], bytes_max: int
    ) -> None:
        self.note(f"commit {container_id}")
        await self.gate.wait()
        if self.refusal:
            raise EngineRefused(self.refusal)
        self.images[image] = ImageReport(
            name=image, digest="sha256:2", architecture="x86_64", size_bytes=2, labels=dict(labels)
        )


def order_of(commit_id: str = "c1", image: str = NAME, wait_seconds: float = 0.0) -> CommitKernel:
    return CommitKernel(
        kernel=KernelRef(kernel_id="k", generation=1),
        image=image,
        labels={COMMIT_LABEL: commit_id},
        bytes_max=1,
        wait_seconds=wait_seconds,
    )


def container() -> str:
    return "box"


def refuse() -> str:
    raise AssertionError("nothing has to begin")


async def test_it_runs_once_and_is_found_afterwards() -> None:
    backend = CommittingBackend()
    commits = Commits(backend, Images(backend))
    assert (await commits.commit(order_of(), container)).image is None
    assert (await commits.commit(order_of(), refuse)).image is None
    backend.gate.set()
    made = await commits.commit(order_of(wait_seconds=5.0), refuse)
    assert made.image == backend.images[NAME]
    again = Commits(backend, Images(backend))
    assert await again.commit(order_of(), refuse) == made
    assert backend.calls == ["commit box"]


async def test_an_image_of_an_earlier_commit_is_not_it() -> None:
    backend = CommittingBackend()
    backend.gate.set()
    commits = Commits(backend, Images(backend))
    for commit_id in ("c1", "c2"):
        made = await commits.commit(order_of(commit_id, wait_seconds=5.0), container)
        assert made.image is not None
        assert made.image.labels[COMMIT_LABEL] == commit_id


async def test_a_refusal_is_told_and_may_be_tried_again() -> None:
    backend = CommittingBackend(refusal="no space left on device")
    backend.gate.set()
    commits = Commits(backend, Images(backend))
    with pytest.raises(EngineRefused, match="no space left"):
        await commits.commit(order_of(wait_seconds=5.0), container)
    backend.refusal = ""
    assert (await commits.commit(order_of(wait_seconds=5.0), container)).image is not None


async def test_no_other_name_is_taken_and_none_without_a_mark() -> None:
    commits = Commits(CommittingBackend(), Images(CommittingBackend()))
    with pytest.raises(BadOrder, match="custom/"):
        await commits.commit(order_of(image="python:3.11"), container)
    with pytest.raises(BadOrder, match="label"):
        await commits.commit(order_of(commit_id=""), container)


async def test_few_are_at_work_at_once() -> None:
    backend = CommittingBackend()
    commits = Commits(backend, Images(backend))
    names = [f"custom/a/tools:{number}" for number in range(AT_ONCE_MAX + 2)]
    for name in names:
        await commits.commit(order_of(image=name, wait_seconds=0.05), container)
    assert len(backend.calls) == AT_ONCE_MAX
    backend.gate.set()
    made = [await commits.commit(order_of(image=name, wait_seconds=5.0), refuse) for name in names]
    assert [one.image.name for one in made if one.image] == names
