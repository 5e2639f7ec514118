"""Whether a ticket opens a way to an app, here and now. PURE."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from backendai.common.contracts.agent import KernelReport, KernelState
from backendai.common.tickets import Refusal, RelayCode, Ticket, TicketRefused, open_ticket

_NOT_YET: Final = frozenset({KernelState.WAITING, KernelState.PULLING, KernelState.PREPARING})


@dataclass(frozen=True, slots=True)
class Porter:
    """What a relay knows when it looks at a ticket.

    `find` gives the report of a kernel. Before the containers were listed once nobody knows which
    are there: `has_listed` says whether they were.
    """

    agent_id: str
    keys: Sequence[bytes]
    find: Callable[[str], KernelReport | None]
    has_listed: bool

    def admit(self, text: str, now: float) -> Ticket | Refusal:
        """`now` is in Unix seconds."""
        if not self.keys:
            return Refusal(RelayCode.BUSY, "no manager has given this relay its keys yet")
        try:
            ticket = open_ticket(text, self.keys, now)
        except TicketRefused as refused:
            return Refusal(RelayCode.DENIED, refused.detail)
        if ticket.agent != self.agent_id:
            return Refusal(RelayCode.DENIED, f"the ticket is for the relay of {ticket.agent}")
        return self._check_kernel(ticket) or ticket

    def _check_kernel(self, ticket: Ticket) -> Refusal | None:
        report = self.find(ticket.kernel)
        if report is None and not self.has_listed:
            return Refusal(RelayCode.BUSY, "which kernels run here is not known yet")
        if report is None or report.generation > ticket.generation:
            return Refusal(RelayCode.GONE, "that kernel does not run here any more")
        if report.generation < ticket.generation or report.state in _NOT_YET:
            return Refusal(RelayCode.BUSY, "the kernel does not run yet")
        if report.state is KernelState.UNKNOWN:
            return Refusal(RelayCode.BUSY, "whether the kernel runs is not known now")
        if report.state is not KernelState.RUNNING:
            return Refusal(RelayCode.GONE, f"the kernel is {report.state.value}")
        return None
