"""The keys that tickets for this node are sealed with: given by managers, kept over restarts."""

from pathlib import Path

import msgspec

from backendai.agent.durable import write_durable
from backendai.agent.threads import Threads
from backendai.common.contracts import agent as contract
from backendai.common.logs import get_logger

log = get_logger(__name__)


class KeyRing:
    """The keys of the relay, in a file at `path` that only the agent reads.

    Losing the file is harmless: managers give the keys to every new instance of an agent.
    """

    def __init__(self, path: Path, threads: Threads) -> None:
        self._path = path
        self._threads = threads
        self.keys: tuple[bytes, ...] = ()

    async def load(self) -> None:
        """Take the keys of the file, if there are any."""
        kept = await self._threads.run(_read, self._path)
        self.keys = () if kept is None else tuple(kept.keys)

    async def take(self, given: contract.RelayKeys) -> contract.Nothing:
        """Use these keys from now on; the file has them when this returns. Raises DiskRefused."""
        if tuple(given.keys) != self.keys:
            await self._threads.run(write_durable, self._path, msgspec.json.encode(given))
            self.keys = tuple(given.keys)
        return contract.Nothing()


def _read(path: Path) -> contract.RelayKeys | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=contract.RelayKeys)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("relay.keys_unreadable", file=str(path), detail=str(error))
        return None
