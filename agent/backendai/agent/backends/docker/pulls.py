"""The engine's report of a pull: progress for people, and refusals told apart."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from backendai.agent.backends.backend import Progress
from backendai.agent.faults import (
    ContainerMissing,
    EngineRefused,
    ImageMissing,
    RegistryLoginRefused,
    RegistryUnavailable,
)
from backendai.common.faults import Fault

# The engine gives registry errors as text only; these are the words of a registry that is away.
_AWAY_WORDS: Final = (
    "connection refused",
    "connection reset",
    "no such host",
    "timeout",
    "timed out",
    "temporary failure",
    "server misbehaving",
    "unreachable",
    "eof",
    "503",
    "502",
    "toomanyrequests",
    "no space left",
)
# And those of one that does not know who asks.
_LOGIN_WORDS: Final = (
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "incorrect username or password",
)


async def follow_pull(
    name: str, lines: AsyncIterator[Mapping[str, Any]], progress: Progress
) -> None:
    """Read a pull to its end. Raises ImageMissing, RegistryLoginRefused or RegistryUnavailable, as
    the registry says."""
    layers: dict[str, tuple[int, int]] = {}
    try:
        async for line in lines:
            if "error" in line:
                raise explain_refusal(name, str(line["error"]))
            _note(layers, line)
            progress(describe(layers))
    except (ContainerMissing, EngineRefused) as fault:
        raise explain_refusal(name, fault.detail) from fault


def explain_refusal(name: str, words: str) -> Fault:
    told = words.lower()
    if any(word in told for word in _LOGIN_WORDS):
        return RegistryLoginRefused(f"{name}: {words}")
    is_away = any(word in told for word in _AWAY_WORDS)
    return (RegistryUnavailable if is_away else ImageMissing)(f"{name}: {words}")


def describe(layers: Mapping[str, tuple[int, int]]) -> str:
    """`3/7 layers, 12.5 of 40.0 MB`; empty before anything is known."""
    if not layers:
        return ""
    done = sum(1 for current, total in layers.values() if current >= total)
    current = sum(min(one) for one in layers.values()) / 1e6
    total = sum(total for _, total in layers.values()) / 1e6
    return f"{done}/{len(layers)} layers, {current:.1f} of {total:.1f} MB"


def _note(layers: dict[str, tuple[int, int]], line: Mapping[str, Any]) -> None:
    layer, detail = line.get("id"), line.get("progressDetail") or {}
    if layer and line.get("status") == "Downloading" and detail.get("total"):
        layers[layer] = (int(detail.get("current") or 0), int(detail["total"]))
    elif layer in layers and line.get("status") in ("Download complete", "Pull complete"):
        layers[layer] = (layers[layer][1], layers[layer][1])
