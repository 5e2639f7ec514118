"""Where agents are: what they registered in etcd, and what the database remembers of them."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec

from backendai.common.config import ConfigStore
from backendai.common.faults import Unavailable
from backendai.common.ids import AgentId
from backendai.common.logs import get_logger
from backendai.common.rpc.curve import is_public_key

from .health import refusal_of
from .model import AgentRow, Contact, Patience

log = get_logger(__name__)

PREFIX: Final = "nodes/agents/"


class _Notice(msgspec.Struct, frozen=True):
    addr: str
    public_key: str


class Registry(Protocol):
    """Where agents announce themselves."""

    async def offers(self) -> list[Contact]: ...


class EtcdRegistry:
    """Announcements below `nodes/agents/`; while etcd is away, the last ones that were read."""

    def __init__(self, config: ConfigStore) -> None:
        self._config = config
        self._last: list[Contact] = []

    async def offers(self) -> list[Contact]:
        try:
            self._last = parse_offers(await self._config.get_prefix(PREFIX))
        except Unavailable as fault:
            log.warning("registry.unavailable", code=fault.code, detail=fault.detail)
        return self._last


def parse_offers(pairs: Mapping[str, str]) -> list[Contact]:
    """The sound announcements; what cannot be read is logged and left out."""
    offers = []
    for key, value in sorted(pairs.items()):
        try:
            notice = msgspec.json.decode(value, type=_Notice)
        except msgspec.DecodeError as error:
            log.warning("registry.bad_notice", key=key, error=str(error))
            continue
        if notice.public_key and not is_public_key(notice.public_key):
            log.warning("registry.bad_notice", key=key, error="no public key")
            continue
        offers.append(Contact(AgentId(key.removeprefix(PREFIX)), notice.addr, notice.public_key))
    return offers


def choose_contacts(
    known: Iterable[AgentRow], offers: Iterable[Contact], patience: Patience
) -> tuple[dict[AgentId, Contact], list[str]]:
    """Where to reach each agent, and which offers are refused and why. PURE."""
    rows = {row.id: row for row in known}
    chosen = {
        row.id: Contact(row.id, row.address, row.public_key) for row in rows.values() if row.address
    }
    refusals = []
    for offer in offers:
        refusal = refusal_of(rows.get(offer.agent_id), offer, patience)
        if refusal:
            refusals.append(refusal)
        else:
            chosen[offer.agent_id] = offer
    return chosen, refusals
