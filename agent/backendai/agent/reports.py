"""The report that managers observe, put together from what is known at that moment."""

from dataclasses import dataclass

from backendai.common.contracts.agent import AgentReport

from .ledger import Ledger
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

    def make(self) -> AgentReport:
        facts, ledger, load = self.facts, self.ledger, self.meter.load
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
            capacity=self.inventory.capacity.to_json(),
            kernels=ledger.kernels(),
            images=ledger.images,
            cpu_percent=load.cpu_percent,
            memory_used_bytes=load.memory_used_bytes,
            plugins=self.inventory.versions,
        )
