"""PURE: what is to be said of the whole cluster, from what was seen of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backendai.manager.agents.render import age
from backendai.manager.alerts.facts import AgentFact
from backendai.manager.alerts.model import Alert

from .model import SKEW_SECONDS_MAX, Finding, advise, fail, ok, some

CLUSTER_NAMES: Final = (
    *("managers", "versions", "node clocks", "node disks"),
    *("images", "waiting", "alerts"),
)
WAITING_SECONDS_MAX: Final = 3600.0
FULL_PERCENT: Final = 90.0
EXPIRY_DAYS_MIN: Final = 21


@dataclass(frozen=True, slots=True)
class Waiting:
    """Sessions that wait for one reason, and how long the first of them has."""

    rule: str
    count: int
    seconds_max: float


@dataclass(frozen=True, slots=True)
class VolumeSeen:
    """What a volume said of itself."""

    host: str
    used_bytes: int
    capacity_bytes: int

    @property
    def used_percent(self) -> float:
        return 100 * self.used_bytes / self.capacity_bytes if self.capacity_bytes else 0.0


def judge_managers(live: Sequence[Mapping[str, Any]], leader: str | None) -> Finding:
    """`live` is what each says of itself, `leader` who plans; it is known by what its name has
    before a colon."""
    if not live:
        fix = "start one: `systemctl start backendai-manager`; its journal says what it lacks"
        return fail("managers", "none lives: nothing starts, and no request is answered", fix)
    told = some(f"{one.get('id')} ({one.get('version')})" for one in live)
    versions = {str(one.get("version")) for one in live}
    if leader is None:
        fix = "wait for half a minute and look again; then see the journals of managers"
        return fail("managers", f"{told}; none of them plans", fix)
    lead = leader.partition(":")[0]
    if len(versions) > 1:
        fix = "finish the upgrade: all are to be of one release"
        return advise("managers", f"{told}; {lead} plans; their releases differ", fix)
    return ok("managers", f"{told}; {lead} plans")


def judge_versions(versions: Mapping[str, str], own: str) -> Finding:
    """Node -> its agent's release."""
    others = {node: version for node, version in versions.items() if version != own}
    if not others:
        return ok("versions", f"all agents are of {own}")
    told = some(f"{node} is of {version or 'none'}" for node, version in sorted(others.items()))
    fix = f"upgrade these agents to {own}; sessions go on meanwhile"
    return advise("versions", told, fix)


def judge_node_clocks(agents: Sequence[AgentFact]) -> Finding:
    """By how much the clock of each was ahead of that of a manager when it was heard last."""
    known = {one.id: one.used.get("clock_ahead_seconds") for one in agents}
    wrong = {
        node: ahead
        for node, ahead in known.items()
        if ahead is not None and abs(ahead) > SKEW_SECONDS_MAX
    }
    if not wrong:
        told = sum(ahead is not None for ahead in known.values())
        return ok("node clocks", f"{told} of {len(known)} told theirs, within {SKEW_SECONDS_MAX} s")
    lines = [
        f"{node} is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
        for node, ahead in sorted(wrong.items())
    ]
    return fail("node clocks", some(lines), "let chrony or systemd-timesyncd set their clocks")


def judge_node_disks(agents: Sequence[AgentFact]) -> Finding:
    disks = [(one.id, disk) for one in agents for disk in one.used.get("disks", ())]
    full = [
        f"{node}:{disk['path']} has {disk['free_bytes'] / (1 << 30):.1f} GiB left"
        for node, disk in disks
        if disk["total_bytes"]
        and 100 * (1 - disk["free_bytes"] / disk["total_bytes"]) >= FULL_PERCENT
    ]
    if full:
        fix = "remove images (`docker image prune`) and what else is old there, or add space"
        return fail("node disks", some(full), fix)
    return ok("node disks", f"{len(disks)} are below {FULL_PERCENT:.0f} %")


def judge_images(count: int) -> Finding:
    """`count` of those that sessions may use."""
    if count:
        return ok("images", f"{count} known")
    fix = "`docker pull` one on a node, or name a registry (`backendai admin registry add`)"
    return advise("images", "none is known: no session can start", fix)


def judge_waiting(waiting: Sequence[Waiting]) -> Finding:
    if not waiting:
        return ok("waiting", "no session waits")
    told = some(f"{one.count} for {one.rule} (the first {age(one.seconds_max)})" for one in waiting)
    if all(one.seconds_max < WAITING_SECONDS_MAX for one in waiting):
        return ok("waiting", told)
    return advise("waiting", told, "ask for one of them: `backendai session why NAME`")


def judge_alerts(alerts: Sequence[Alert]) -> Finding:
    if not alerts:
        return ok("alerts", "none is open")
    told = some(alert.detail for alert in alerts)
    return advise("alerts", told, "see `backendai admin alerts list` and the runbook")


def judge_storage(
    proxies: Mapping[str, str], broken: Mapping[str, str], volumes: Sequence[VolumeSeen]
) -> Finding:
    """`proxies` are those asked, with why one did not answer; empty where it did."""
    wrong = {**broken, **{name: why for name, why in proxies.items() if why}}
    if wrong:
        told = some(f"{name}: {why}" for name, why in sorted(wrong.items()))
        fix = (
            "start it (`systemctl start backendai-storage-proxy`), or mend volumes/proxies in etcd"
        )
        return fail("storage proxies", told, fix)
    if not proxies:
        fix = "write volumes/proxies/NAME/… to etcd, as the install guide says"
        return advise("storage proxies", "none is known: there are no folders", fix)
    full = [one for one in volumes if one.used_percent >= FULL_PERCENT]
    if full:
        told = some(f"{one.host} is {one.used_percent:.0f} % full" for one in full)
        return fail("storage proxies", told, "add space, or let files be removed")
    told = some(f"{one.host} is {one.used_percent:.0f} % full" for one in volumes)
    return ok("storage proxies", told or some(sorted(proxies)))


def judge_daemon(name: str, address: str, problem: str, fix: str) -> Finding:
    return fail(name, f"{address}: {problem}", fix) if problem else ok(name, f"{address} answers")


def judge_certificates(ends: Mapping[str, datetime], now: datetime) -> Finding:
    """Address -> when the certificate shown there ends."""
    if not ends:
        return ok("certificates", "no address that was asked has one")
    left = {address: (at - now).days for address, at in ends.items()}
    told = some(f"{address} for {days} days" for address, days in sorted(left.items()))
    fix = "renew it and let the daemon or the proxy in front of it read it again"
    if min(left.values()) < 0:
        over = some(address for address, days in sorted(left.items()) if days < 0)
        return fail("certificates", f"over: {over}", fix)
    if min(left.values()) < EXPIRY_DAYS_MIN:
        return advise("certificates", told, fix)
    return ok("certificates", told)
