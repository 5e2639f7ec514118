"""What the graph asks for changes; it is loaded without the library."""

from collections.abc import Callable
from dataclasses import dataclass

from backendai.manager.accounts.service import Accounts
from backendai.manager.audit.change import Changes
from backendai.manager.vfolders.assembly import VFolders


@dataclass(frozen=True, slots=True)
class UseCases:
    """`refuse_frozen` raises while the cluster is frozen: then nothing changes, whoever asks."""

    changes: Changes
    accounts: Accounts
    vfolders: VFolders
    refuse_frozen: Callable[[], None]
