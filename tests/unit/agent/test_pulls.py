"""What a registry refuses is told in its own words, and what is away may be tried again."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from backendai.agent.backends.docker.pulls import describe, follow_pull
from backendai.agent.faults import (
    EngineRefused,
    ImageMissing,
    RegistryLoginRefused,
    RegistryUnavailable,
)


async def lines_of(*lines: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    for line in lines:
        yield line


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("manifest for x:1 not found: manifest unknown", ImageMissing),
        ("pull access denied for x, repository does not exist or may require login", ImageMissing),
        ("Head https://r/v2/x/manifests/1: unauthorized: bad password", RegistryLoginRefused),
        ("Get https://r/v2/: no basic auth credentials", RegistryLoginRefused),
        ("Get https://r/v2/: dial tcp: lookup r: no such host", RegistryUnavailable),
        ("Get https://r/v2/: connect: connection refused", RegistryUnavailable),
        ("net/http: request canceled (Client.Timeout exceeded)", RegistryUnavailable),
    ],
)
async def test_a_refusal_is_told_apart(words: str, fault: type[Exception]) -> None:
    with pytest.raises(fault, match="x:1") as caught:
        await follow_pull("x:1", lines_of({"error": words}), lambda _: None)
    assert words in str(caught.value)


async def test_a_refusal_before_the_first_line_is_told_too() -> None:
    async def refused() -> AsyncIterator[Mapping[str, Any]]:
        raise EngineRefused("manifest unknown")
        yield {}

    with pytest.raises(ImageMissing, match="manifest unknown"):
        await follow_pull("x:1", refused(), lambda _: None)


async def test_progress_is_counted_in_layers_and_bytes() -> None:
    said: list[str] = []
    half = {"id": "a", "status": "Downloading", "progressDetail": {"current": 5e6, "total": 1e7}}
    await follow_pull(
        "x:1",
        lines_of({"status": "Pulling"}, half, {"id": "a", "status": "Pull complete"}),
        said.append,
    )
    assert said == ["", "0/1 layers, 5.0 of 10.0 MB", "1/1 layers, 10.0 of 10.0 MB"]
    assert describe({}) == ""
