"""What the agent remembers of its kernels while it lives: shares held, and words for reports.

All of it is rebuilt from labels and orders after a restart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from backendai.common.clock import Clock
from backendai.common.contracts.agent import KernelReport, KernelState
from backendai.common.enums import Reason
from backendai.common.faults import Fault

from .labels import Identity
from .ledger import Ledger
from .machine import Desire

Key = tuple[str, int]


@dataclass(slots=True)
class Notes:
    """`identities` by container id, as last listed; `held` are devices of kernels being made.

    `ended` are the containers of which nothing runs: they hold no device any more.
    """

    identities: Mapping[str, Identity] = field(default_factory=dict)
    held: dict[Key, Mapping[str, list[str]]] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()

    def take(
        self,
        identities: Mapping[str, Identity],
        busy: frozenset[str],
        ended: frozenset[str] = frozenset(),
    ) -> None:
        """Labels say what is held from now on, but for kernels that tasks were working on."""
        self.identities, self.ended = identities, ended
        self.held = {key: devices for key, devices in self.held.items() if key[0] in busy}

    def devices_in_use(self) -> Iterable[Mapping[str, list[str]]]:
        """The devices of each kernel once, also of one that is both listed and worked on."""
        listed = {
            (one.kernel_id, one.generation): one.devices
            for container_id, one in self.identities.items()
            if container_id not in self.ended
        }
        return {**listed, **self.held}.values()


class Reporter:
    """Writes the ledger in the words of the contract."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def accepted(self, desire: Desire, state: KernelState) -> KernelReport:
        """A new generation, or a new order for it: what was known of the same one stays."""
        known = self._ledger.get(desire.kernel_id)
        if known is not None and known.generation == desire.generation:
            return self.note(
                desire.kernel_id, desire.generation, state=state, asks_again=desire.lacks_login
            )
        spec = desire.spec
        report = KernelReport(
            kernel_id=desire.kernel_id,
            session_id=spec.session_id if spec else (known.session_id if known else ""),
            generation=desire.generation,
            state=state,
            reason=desire.reason,
            slots=dict(spec.slots) if spec else {},
            asks_again=desire.lacks_login,
        )
        self._ledger.put(report)
        return report

    def found(self, identity: Identity, container_id: str, state: KernelState) -> KernelReport:
        """A container that is there: its labels say the rest."""
        known = self._ledger.get(identity.kernel_id)
        if known is None or known.generation < identity.generation:
            known = KernelReport(
                kernel_id=identity.kernel_id,
                session_id=identity.session_id,
                generation=identity.generation,
                state=state,
            )
        report = replace(
            known,
            session_id=identity.session_id,
            state=state,
            container_id=container_id,
            slots=dict(identity.slots),
            devices={slot: list(names) for slot, names in identity.devices.items()},
            service_ports=list(identity.service_ports),
        )
        self._ledger.put(report)
        return report

    def note(self, kernel_id: str, generation: int, **changes: object) -> KernelReport:
        """Change the report of one generation; one that is superseded stays superseded."""
        report = self.draft(kernel_id, generation, **changes)
        self._ledger.put(report)
        return report

    def draft(self, kernel_id: str, generation: int, **changes: object) -> KernelReport:
        """The report with `changes`, not yet told to anybody."""
        known = self._ledger.get(kernel_id)
        if known is None or known.generation != generation:
            known = KernelReport(
                kernel_id=kernel_id, session_id="", generation=generation, state=KernelState.WAITING
            )
        return replace(known, **changes)

    def failed(self, desire: Desire, reason: Reason, fault: Fault) -> KernelReport:
        """A draft: it becomes the report once it is on record."""
        return self.draft(
            desire.kernel_id,
            desire.generation,
            state=KernelState.FAILED,
            reason=str(reason),
            detail=fault.detail or fault.title,
            retriable=fault.kind.retryable,
            progress="",
            container_id="",
            ended_at=self._clock.now().timestamp(),
        )

    def gone(self, desire: Desire) -> KernelReport:
        """A draft, as `failed`."""
        known = self._ledger.get(desire.kernel_id)
        ended_at = known.ended_at if known is not None else None
        return self.draft(
            desire.kernel_id,
            desire.generation,
            state=KernelState.GONE,
            reason=desire.reason,
            detail="",
            progress="",
            container_id="",
            ended_at=ended_at or self._clock.now().timestamp(),
        )
