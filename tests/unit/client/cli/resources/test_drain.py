"""Draining: what is waited for, for how long, and what ends it."""

import pytest

from backendai.client.cli.resources.drain import BACK_OFF_SECONDS_MAX, LOOK_SECONDS, Drain
from backendai.client.faults import NodesLost, Unreachable
from backendai.client.resources.rows import Agent
from backendai.common.faults import AgentNotFound, AuthFailed, Fault


def node(count: int, status: str = "ALIVE", name: str = "n1") -> Agent:
    return Agent(name, status, "default", schedulable=False, container_count=count)


class Script:
    """Answers as it is told, and notes what is said and for how long nothing is asked."""

    def __init__(self, *answers: Agent | Fault) -> None:
        self._answers = list(answers)
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.drain = Drain(self, list({answer_name(each) for each in answers}), self.sleep)

    async def get(self, agent_id: str) -> Agent:
        answer = next(each for each in self._answers if answer_name(each) in ("", agent_id))
        self._answers.remove(answer)
        if isinstance(answer, Fault):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.told.append(self.drain.told)


def answer_name(answer: Agent | Fault) -> str:
    return answer.id if isinstance(answer, Agent) else "n1"


async def test_what_runs_is_waited_for() -> None:
    script = Script(node(2), node(1), node(0))
    await script.drain.wait()
    assert script.pauses == [LOOK_SECONDS] * 2
    assert script.told == [f"containers that hold room: {count} on n1" for count in (2, 1)]


async def test_an_outage_is_told_and_outlasted() -> None:
    away = [Unreachable("at http://here") for _ in range(7)]
    script = Script(node(2), *away, node(1), node(0))
    await script.drain.wait()
    assert script.pauses[1:8] == [1, 2, 4, 8, 16, BACK_OFF_SECONDS_MAX, BACK_OFF_SECONDS_MAX]
    told = script.told[1]
    assert told.startswith("Nothing answers at the API's address. at http://here It is asked again")
    assert told.endswith("; containers that hold room: 2 on n1")
    assert script.told[8] == "containers that hold room: 1 on n1"


@pytest.mark.parametrize("refusal", [AuthFailed("no"), AgentNotFound("n1")])
async def test_a_refusal_ends_it(refusal: Fault) -> None:
    script = Script(node(2), refusal)
    with pytest.raises(type(refusal)):
        await script.drain.wait()
    assert script.pauses == [LOOK_SECONDS]


async def test_a_lost_node_is_told_at_once() -> None:
    script = Script(node(2, "LOST"))
    with pytest.raises(NodesLost, match=r"n1: silent for so long .* mgr agent fence"):
        await script.drain.wait()
    assert script.pauses == []
    await Script(node(0, "LOST")).drain.wait()


async def test_beside_a_lost_node_the_others_are_waited_for() -> None:
    others = [node(count, name="n2") for count in (3, 0)]
    script = Script(node(2, "LOST"), node(2, "LOST"), *others)
    with pytest.raises(NodesLost, match="n1: "):
        await script.drain.wait()
    assert len(script.pauses) == 1
    assert "3 on n2" in script.told[0]
    assert "n1: silent" in script.told[0]
