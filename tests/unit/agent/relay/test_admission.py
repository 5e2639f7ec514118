"""Who gets in: one ticket against every state of a kernel, and every wrong ticket."""

import pytest

from backendai.agent.relay.admission import Porter
from backendai.common.contracts.agent import KernelReport, KernelState
from backendai.common.tickets import Refusal, RelayCode, Ticket, derive_relay_key, seal_ticket

NOW = 1_800_000_000.0
AGENT = "i-here"
KERNEL = "7f9c24e8-3b12-4fef-91e0-3a7e0d1c2b3a"
KEY = derive_relay_key(bytes(32), AGENT)
TICKET = Ticket(agent=AGENT, kernel=KERNEL, generation=2, app="ttyd", port=0, expires=int(NOW) + 30)


def report(state: KernelState = KernelState.RUNNING, generation: int = 2) -> KernelReport:
    return KernelReport(kernel_id=KERNEL, session_id="s", generation=generation, state=state)


def porter(
    known: KernelReport | None, *, has_listed: bool = True, keys: tuple[bytes, ...] = (KEY,)
) -> Porter:
    return Porter(AGENT, keys, {KERNEL: known}.get, has_listed)


def verdict(found: Ticket | Refusal) -> RelayCode | None:
    return found.code if isinstance(found, Refusal) else None


def test_a_good_ticket_opens_a_running_kernel() -> None:
    assert porter(report()).admit(seal_ticket(TICKET, KEY), NOW) == TICKET


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (KernelState.WAITING, RelayCode.BUSY),
        (KernelState.PULLING, RelayCode.BUSY),
        (KernelState.PREPARING, RelayCode.BUSY),
        (KernelState.UNKNOWN, RelayCode.BUSY),
        (KernelState.RUNNING, None),
        (KernelState.STOPPING, RelayCode.GONE),
        (KernelState.FAILED, RelayCode.GONE),
        (KernelState.EXITED, RelayCode.GONE),
        (KernelState.GONE, RelayCode.GONE),
    ],
)
def test_every_state_of_a_kernel(state: KernelState, code: RelayCode | None) -> None:
    assert verdict(porter(report(state)).admit(seal_ticket(TICKET, KEY), NOW)) == code


def test_no_state_is_forgotten_here() -> None:
    marks = getattr(test_every_state_of_a_kernel, "pytestmark")[0].args[1]  # noqa: B009
    assert {state for state, _ in marks} == set(KernelState)


@pytest.mark.parametrize(
    ("generation", "code"), [(1, RelayCode.BUSY), (2, None), (3, RelayCode.GONE)]
)
def test_only_that_generation(generation: int, code: RelayCode | None) -> None:
    found = porter(report(generation=generation)).admit(seal_ticket(TICKET, KEY), NOW)
    assert verdict(found) == code


@pytest.mark.parametrize(("has_listed", "code"), [(True, RelayCode.GONE), (False, RelayCode.BUSY)])
def test_a_kernel_is_gone_only_when_somebody_looked(has_listed: bool, code: RelayCode) -> None:
    found = porter(None, has_listed=has_listed).admit(seal_ticket(TICKET, KEY), NOW)
    assert verdict(found) == code


def test_without_keys_nothing_opens() -> None:
    found = porter(report(), keys=()).admit(seal_ticket(TICKET, KEY), NOW)
    assert verdict(found) == RelayCode.BUSY


def test_a_ticket_of_another_agent_is_denied_though_sealed_with_our_key() -> None:
    other = Ticket(
        agent="i-there", kernel=KERNEL, generation=2, app="ttyd", port=0, expires=TICKET.expires
    )
    assert verdict(porter(report()).admit(seal_ticket(other, KEY), NOW)) == RelayCode.DENIED


@pytest.mark.parametrize(
    ("text", "now"),
    [
        ("", NOW),
        ("garbage", NOW),
        (seal_ticket(TICKET, KEY), NOW + 30),
        (seal_ticket(TICKET, derive_relay_key(bytes(32), "i-there")), NOW),
        (seal_ticket(TICKET, bytes(32)), NOW),
    ],
)
def test_a_wrong_ticket_tells_nothing_of_the_kernel(text: str, now: float) -> None:
    for known in (report(), report(KernelState.GONE), None):
        assert verdict(porter(known).admit(text, now)) == RelayCode.DENIED
