"""What a keypair may have waiting in the queue."""

import pytest

from backendai.common.slots import ResourceSlots, SlotError
from backendai.manager.policies.model import PendingLimit

ONE = ResourceSlots.parse({"cpu": "1", "mem": "1g"})


@pytest.mark.parametrize(
    ("sessions_max", "slots", "exceeded"),
    [
        (None, None, {}),
        (None, {}, {}),
        (3, None, {}),
        (2, None, {"pending.sessions": "waiting 2, limit 2"}),
        (0, None, {"pending.sessions": "waiting 2, limit 0"}),
        (None, {"cpu": "3"}, {}),
        (None, {"cpu": "2"}, {"pending.cpu": "waiting 2, asked 1, limit 2"}),
        (None, {"cuda.device": "0"}, {}),
        (
            2,
            {"mem": "2g"},
            {
                "pending.sessions": "waiting 2, limit 2",
                "pending.mem": "waiting 2g, asked 1g, limit 2g",
            },
        ),
    ],
)
def test_what_goes_beyond_is_named(
    sessions_max: int | None, slots: dict[str, object] | None, exceeded: dict[str, str | None]
) -> None:
    limit = PendingLimit.parse(sessions_max, slots)
    waiting = ResourceSlots.parse({"cpu": "2", "mem": "2g"})
    found = limit.exceeded_by(2, waiting, ONE)
    assert found.keys() == exceeded.keys()
    assert all(text in (None, found[key]) for key, text in exceeded.items())
    assert limit.is_none == (sessions_max is None and not slots)


def test_a_policy_that_is_no_amount_is_told() -> None:
    with pytest.raises(SlotError, match="cpu"):
        PendingLimit.parse(None, {"cpu": "many"})
