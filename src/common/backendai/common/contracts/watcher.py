"""What a manager may ask of the watcher of a node: how its agent's unit is, and to change that."""

import enum
from typing import Final

import msgspec

from backendai.common.rpc.call import Call

# Where watchers announce themselves, each by the id of its agent.
NOTICES: Final = "nodes/watchers/"


class Verb(enum.StrEnum):
    """What can be done to a unit; the words are systemd's."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


class WatcherNotice(msgspec.Struct, frozen=True):
    """The value of a key below `NOTICES`, as JSON. The watcher proves itself by its agent's key."""

    addr: str


class LookAtUnit(msgspec.Struct, frozen=True):
    pass


class ChangeUnit(msgspec.Struct, frozen=True):
    verb: Verb


class UnitState(msgspec.Struct, frozen=True, kw_only=True):
    """As systemd tells: `active` is such as "active", "activating", "inactive" or "failed"."""

    unit: str
    active: str
    sub: str
    since: str
    status: str
    pid: int
    restarts: int


LOOK: Final = Call("look", LookAtUnit, UnitState, idempotent=True)
# systemd is told and not waited for: the reply says what it has begun.
CHANGE: Final = Call("change", ChangeUnit, UnitState)
CONTRACT: Final = (LOOK, CHANGE)
