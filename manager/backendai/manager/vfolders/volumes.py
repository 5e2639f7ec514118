"""Which storage proxies there are: the configuration below volumes/ as values. PURE.

A host, as people name it, is `<proxy>:<volume>`.
"""

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backendai.common.faults import InvalidParams

from .model import Ownership

VOLUMES_PREFIX: Final = "volumes/"
_PROXIES: Final = "proxies/"
_TYPES: Final = "_types/"
_NEEDED: Final = ("client_api", "manager_api", "secret")
_NO: Final = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """A storage proxy: where clients and managers find it, and what managers show it."""

    name: str
    client_api: str
    manager_api: str
    secret: str = field(repr=False)
    ssl_verify: bool = True


@dataclass(frozen=True, slots=True)
class VolumeConfig:
    """`broken` are the proxies of which something is missing, with what."""

    proxies: Mapping[str, ProxyAddress] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    default_host: str | None = None
    types: frozenset[Ownership] = frozenset(Ownership)


@dataclass(frozen=True, slots=True)
class Host:
    proxy: str
    volume: str

    def __str__(self) -> str:
        return f"{self.proxy}:{self.volume}"


def parse_host(text: str) -> Host:
    """Raises InvalidParams."""
    proxy, _, volume = text.partition(":")
    if not proxy or not volume:
        raise InvalidParams(facts={"host": "write <proxy>:<volume>, such as local:volume1"})
    return Host(proxy, volume)


def read_config(pairs: Mapping[str, str]) -> VolumeConfig:
    """What the pairs below volumes/ say, by their keys there."""
    below = {
        key.removeprefix(VOLUMES_PREFIX): value
        for key, value in pairs.items()
        if key.startswith(VOLUMES_PREFIX)
    }
    proxies: dict[str, ProxyAddress] = {}
    broken: dict[str, str] = {}
    for name, values in _by_proxy(below).items():
        missing = [key for key in _NEEDED if not values.get(key)]
        if missing:
            broken[name] = f"{', '.join(missing)} is missing"
        else:
            proxies[name] = _address(name, values)
    types = {key.removeprefix(_TYPES) for key in below if key.startswith(_TYPES)}
    return VolumeConfig(
        proxies=proxies,
        broken=broken,
        default_host=below.get("default_host") or None,
        types=frozenset(each for each in Ownership if each in types or not types),
    )


def _by_proxy(below: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, value in below.items():
        name, _, word = key.removeprefix(_PROXIES).partition("/")
        if key.startswith(_PROXIES) and word:
            found.setdefault(urllib.parse.unquote(name), {})[word] = value.strip()
    return found


def _address(name: str, values: Mapping[str, str]) -> ProxyAddress:
    return ProxyAddress(
        name=name,
        client_api=values["client_api"].rstrip("/"),
        manager_api=values["manager_api"].rstrip("/"),
        secret=values["secret"],
        ssl_verify=values.get("ssl_verify", "true").lower() not in _NO,
    )
