"""What operators are told of: nodes that are lost, space that runs out, accelerators left idle."""

import msgspec

from backendai.client.channel import Call, Channel


class Alert(msgspec.Struct, frozen=True):
    """`kind` is a word such as agent_lost; times are ISO 8601, `ended_at` None while it is so."""

    id: int
    kind: str
    subject: str
    detail: str
    began_at: str
    ended_at: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """Whether a target heard of a test: `problem` is empty when it did."""

    target: str
    problem: str


class _Alerts(msgspec.Struct, frozen=True):
    items: tuple[Alert, ...]


class _Outcomes(msgspec.Struct, frozen=True):
    targets: tuple[Outcome, ...]


class Alerts:
    """For superadmins."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self, *, with_ended: bool = False, limit: int = 100) -> tuple[Alert, ...]:
        """Newest first, at most 1000."""
        query = {"with_ended": str(with_ended).lower(), "limit": str(limit)}
        call = Call(method="GET", path="/alerts", query=query, repeatable=True)
        return (await self._channel.ask_for(_Alerts, call)).items

    async def test(self) -> tuple[Outcome, ...]:
        """Tell every target of the manager that answers something now."""
        call = Call(method="POST", path="/alerts/test")
        return (await self._channel.ask_for(_Outcomes, call)).targets
