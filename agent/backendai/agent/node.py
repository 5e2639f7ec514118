"""Everything of a node that starting and ending kernels needs, in one value made by `app`."""

from dataclasses import dataclass, field
from typing import Final

from backendai.common.clock import Clock

from .accelerators.conditions import Conditions
from .accounts import AccountFiles
from .backends.backend import Backend
from .desires import DesireStore
from .images import Images
from .notes import Notes, Reporter
from .profile import Maker
from .relay.keys import KeyRing
from .resources.inventory import Inventory
from .runners import Runners
from .scratch import Scratch
from .threads import Threads
from .volumes import Volumes

RUNNER_COMMAND: Final = ("/opt/kernel/entry",)


@dataclass(frozen=True, slots=True)
class Node:
    """`bundle` is the runner bundle's directory on the host; `booted_at` Unix seconds."""

    backend: Backend
    store: DesireStore
    images: Images
    inventory: Inventory
    scratch: Scratch
    accounts: AccountFiles
    runners: Runners
    relay_keys: KeyRing
    threads: Threads
    notes: Notes
    reporter: Reporter
    maker: Maker
    clock: Clock
    bundle: str
    booted_at: float
    volumes: Volumes = field(default_factory=Volumes)
    conditions: Conditions = field(default_factory=Conditions)
