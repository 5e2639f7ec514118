"""What systemctl prints of a unit, as a state."""

import pytest

from backendai.agent.watcher import Unit, parse_state
from backendai.common.contracts.watcher import ChangeUnit, LookAtUnit, Verb
from backendai.common.faults import Unavailable

SHOWN = """\
MainPID=4711
NRestarts=2
StatusText=Serving.
Id=backendai-agent.service
ActiveState=active
SubState=running
StateChangeTimestamp=Mon 2026-01-05 10:00:00 UTC
"""


def test_a_running_unit() -> None:
    state = parse_state(SHOWN)
    assert (state.unit, state.active, state.sub) == (
        "backendai-agent.service",
        "active",
        "running",
    )
    assert (state.pid, state.restarts, state.status) == (4711, 2, "Serving.")


def test_a_value_may_have_an_equals_sign() -> None:
    assert parse_state(SHOWN.replace("Serving.", "a=b")).status == "a=b"


async def test_without_systemd_the_refusal_says_why(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
    unit = Unit("backendai-agent.service")
    with pytest.raises(Unavailable, match="cannot be run"):
        await unit.look(LookAtUnit())
    with pytest.raises(Unavailable, match="cannot be run"):
        await unit.change(ChangeUnit(Verb.RESTART))
