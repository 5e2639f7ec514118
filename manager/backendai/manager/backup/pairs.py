"""The pairs in etcd: all of the cluster's but those by which nodes announce themselves.

Announcements live as long as a lease that an agent keeps; restored, they would never end.
"""

from collections.abc import Mapping
from typing import Final

from backendai.common.config import ConfigStore
from backendai.common.faults import StoreUnavailable

from .model import BackupRefused

ANNOUNCEMENTS: Final = "nodes/"


async def read_pairs(store: ConfigStore) -> dict[str, str]:
    """Raises BackupRefused when etcd is away."""
    try:
        found = await store.get_prefix("")
    except StoreUnavailable as fault:
        raise BackupRefused(f"{fault.detail}: start it, or mend [etcd] addr.") from fault
    return {key: value for key, value in found.items() if not key.startswith(ANNOUNCEMENTS)}


def diff_pairs(
    present: Mapping[str, str], wanted: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """PURE: what to put and what to delete, so that `present` becomes `wanted`."""
    puts = {key: value for key, value in wanted.items() if present.get(key) != value}
    return puts, sorted(present.keys() - wanted.keys())


async def write_pairs(
    store: ConfigStore, present: Mapping[str, str], wanted: Mapping[str, str]
) -> None:
    """Raises StoreUnavailable; doing it again is right."""
    puts, deletes = diff_pairs(present, wanted)
    for key, value in puts.items():
        await store.put(key, value)
    for key in deletes:
        await store.delete(key)
