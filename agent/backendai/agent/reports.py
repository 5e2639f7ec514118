"""The report that managers observe, put together from what is known at that moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from backendai.common.clock import Clock
from backendai.common.contracts.agent import AgentReport, DeviceReport
from backendai.common.slots import format_amount

from .accelerators.conditions import Conditions
from .ledger import Ledger
from .notes import Notes
from .resources.holds import gather, held_of
from .resources.inventory import Inventory
from .stats import Meter


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What does not change while the agent lives. `started_at` is Unix seconds."""

    agent_id: str
    instance: str
    version: str
    started_at: float
    architecture: str
    region: str
    resource_group: str
    backend: str


@dataclass(frozen=True, slots=True)
class ReportMaker:
    facts: NodeFacts
    inventory: Inventory
    ledger: Ledger
    meter: Meter
    notes: Notes
    conditions: Conditions
    clock: Clock
    relay_addr: Callable[[], str]

    def make(self) -> AgentReport:
        facts, ledger, load = self.facts, self.ledger, self.meter.load
        held = list(self.notes.devices_in_use())
        capacity = self.inventory.capacity(held, self.conditions.sick)
        return AgentReport(
            agent_id=facts.agent_id,
            instance=facts.instance,
            version=ledger.version,
            started_at=facts.started_at,
            daemon_version=facts.version,
            architecture=facts.architecture,
            region=facts.region,
            resource_group=facts.resource_group,
            backend=facts.backend,
            engine_reachable=ledger.engine.is_reachable,
            engine_detail=ledger.engine.detail,
            halted=ledger.halted,
            capacity=capacity.to_json(),
            kernels=ledger.kernels(),
            images=ledger.images,
            cpu_percent=load.cpu_percent,
            memory_used_bytes=load.memory_used_bytes,
            told_at=round(self.clock.now().timestamp(), 3),
            disks=list(load.disks),
            plugins=self.inventory.versions,
            devices=report_devices(self.inventory, self.conditions, held),
            relay_addr=self.relay_addr(),
            swarm=ledger.swarm,
        )


def report_devices(
    inventory: Inventory, conditions: Conditions, held: Iterable[Mapping[str, Sequence[str]]]
) -> list[DeviceReport]:
    """Every accelerator with what is held of it and how it is. PURE."""
    holds = gather(held)
    return [
        DeviceReport(
            slot=device.slot,
            device_id=device.device_id,
            kind=device.kind.value,
            amount=format_amount(device.amount),
            held=format_amount(held_of(device, holds)),
            problem=(condition := conditions.get(device.key)).problem,
            model=device.model,
            numa_node=device.numa_node,
            memory_bytes=device.memory_bytes,
            memory_used_bytes=condition.reading.memory_used_bytes,
            utilisation_percent=condition.reading.utilisation_percent,
            temperature_celsius=condition.reading.temperature_celsius,
            power_watts=condition.reading.power_watts,
        )
        for plugin in inventory.accelerators
        for device in plugin.devices
    ]
