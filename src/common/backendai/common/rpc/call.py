"""One call of a contract, and what a caller needs of a peer.

A contract is a list of `Call` values that both ends import, so that mypy links the asking side, the
answering side and the two structs between them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Req = TypeVar("Req")
Rep = TypeVar("Rep")


@dataclass(frozen=True, slots=True)
class Call(Generic[Req, Rep]):
    """A method of a contract: its name, its structs, and how long an answer may take.

    `is_poll` is asked without end whether or not anything happens, and begins no trace by itself.
    `idempotent` says that asking again after a lost reply is right. Only the caller does so, with
    `repeat.ask_repeatedly`.
    """

    name: str
    request: type[Req]
    reply: type[Rep]
    idempotent: bool = False
    deadline_seconds: float = 10.0
    is_poll: bool = False


AnyCall = Call[Any, Any]
# Entered with the name of a call for as long as it is under way.
Timed = Callable[[str], AbstractContextManager[None]]


def untimed(_name: str) -> AbstractContextManager[None]:
    """For who does not measure."""
    return nullcontext()


class Peer(Protocol):
    """The other end of a contract, as its callers see it."""

    async def ask(
        self, call: Call[Req, Rep], request: Req, timeout_seconds: float | None = None
    ) -> Rep:
        """The reply to `request`.

        Raises the fault that the handler raised, or `AgentTimeout` when no reply came within
        `timeout_seconds` (by default the call's own deadline).
        """
        ...
