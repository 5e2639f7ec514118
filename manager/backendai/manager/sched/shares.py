"""PURE: what quotas still allow while a plan is being made."""

from collections.abc import Mapping, Sequence

from .reasons import WaitReason, too_many_sessions, too_much_of, unreadable_limits
from .view import Quota, ScopeKey


class Shares:
    """Quotas with what is used of them, growing as sessions are placed."""

    def __init__(self, quotas: Mapping[ScopeKey, Quota]) -> None:
        self._quotas = list(quotas.values())
        self._index = {key: index for index, key in enumerate(quotas)}
        self._sessions = [quota.sessions for quota in self._quotas]
        self._slots = [dict(quota.slots) for quota in self._quotas]
        self._known: dict[tuple[ScopeKey, ...], tuple[int, ...]] = {}

    def of(self, scopes: tuple[ScopeKey, ...]) -> tuple[int, ...]:
        """The quotas of these scopes that limit anything at all."""
        found = self._known.get(scopes)
        if found is None:
            indices = (self._index[scope] for scope in scopes if scope in self._index)
            found = tuple(index for index in indices if _limits(self._quotas[index]))
            self._known[scopes] = found
        return found

    def room(self, quotas: Sequence[int], need: Mapping[str, int], count: int) -> int:
        """How many of `count` sessions that need `need` each are allowed."""
        for index in quotas:
            quota = self._quotas[index]
            if quota.problem:
                return 0
            if quota.sessions_max is not None:
                count = min(count, quota.sessions_max - self._sessions[index])
            for slot, amount in _limited(quota, need):
                left = quota.slots_max.get(slot, 0) - self._slots[index].get(slot, 0)
                count = min(count, left // amount)
        return max(count, 0)

    def take(self, quotas: Sequence[int], need: Mapping[str, int], count: int) -> None:
        for index in quotas:
            self._sessions[index] += count
            used = self._slots[index]
            for slot, amount in _limited(self._quotas[index], need):
                used[slot] = used.get(slot, 0) + amount * count

    def reason(self, quotas: Sequence[int], need: Mapping[str, int]) -> WaitReason:
        """Why one more session is not allowed. Raises ValueError when it is."""
        for index in quotas:
            quota = self._quotas[index]
            used = self._sessions[index]
            if quota.problem:
                return unreadable_limits(quota)
            if quota.sessions_max is not None and used >= quota.sessions_max:
                return too_many_sessions(quota, used)
            for slot, amount in _limited(quota, need):
                taken = self._slots[index].get(slot, 0)
                if taken + amount > quota.slots_max.get(slot, 0):
                    return too_much_of(quota, slot, amount, taken)
        raise ValueError("these quotas allow one more session")


def _limited(quota: Quota, need: Mapping[str, int]) -> list[tuple[str, int]]:
    """What of `need` this quota limits."""
    slots = need if quota.is_closed else quota.slots_max
    return [(slot, need[slot]) for slot in slots if need.get(slot)]


def _limits(quota: Quota) -> bool:
    is_some = quota.sessions_max is not None or bool(quota.slots_max)
    return is_some or quota.is_closed or bool(quota.problem)
