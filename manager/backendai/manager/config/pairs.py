"""The pairs of the cluster's configuration, as superadmins read and write them."""

from typing import Any, TypeVar

from backendai.common.config import ConfigStore
from backendai.common.logs import get_logger
from backendai.manager.gate.actor import Actor

from .keys import HIDDEN, check_key, is_secret, nest, pairs_of, refuse_protected

log = get_logger(__name__)


T = TypeVar("T", str, str | None)


class ConfigPairs:
    """Every method raises StoreUnavailable while the store is away. No secret is ever shown."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    async def get(self, key: str) -> str | None:
        path = check_key(key)
        return _shown(path, await self._store.get(path))

    async def get_below(self, prefix: str) -> dict[str, Any]:
        """What is at and below a path, nested by its words."""
        path = check_key(prefix)
        pairs = await self._store.get_prefix(path)
        return nest({name: _shown(name, value) for name, value in pairs.items()}, path)

    async def set(self, actor: Actor, key: str, value: object) -> None:
        """Store a value, or each value of a nested object; doing it again is right.

        Raises InvalidParams, and Forbidden for what the platform alone writes.
        """
        pairs = pairs_of(key, value)
        for path, text in pairs.items():
            await self._store.put(path, text)
        log.warning("config.changed", by=actor.email, keys=sorted(pairs))

    async def delete(self, actor: Actor, key: str, *, is_prefix: bool) -> None:
        """Delete a pair, with `is_prefix` also all below it. What is not there is no fault.

        Raises InvalidParams, and Forbidden for what the platform alone writes.
        """
        path = check_key(key)
        refuse_protected(path)
        count = int(await self._store.delete(path))
        if is_prefix:
            count += await self._store.delete_prefix(path + "/")
        log.warning("config.deleted", by=actor.email, key=path, prefix=is_prefix, count=count)


def _shown(key: str, value: T) -> T:
    return HIDDEN if value and is_secret(key) else value
