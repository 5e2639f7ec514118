"""What a machine that joins knows already: its settings, and the cluster that it is in."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trafaret as t

from backendai.common.faults import ServerMisconfigured
from backendai.common.settings.checks import host_port, listing

from .decide import MANAGER_KEYS_FILE, Membership, Plan


def read_config(config: Path) -> Mapping[str, Any]:
    """Empty where there is none. Raises ServerMisconfigured."""
    try:
        known = tomllib.loads(config.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ServerMisconfigured(f"cannot read {config}: {error}") from error
    for name, section in known.items():
        if not isinstance(section, dict):
            raise ServerMisconfigured(f"{config}: {name} must be a table, [{name}]")
    return known


def read_membership(plan: Plan, known: Mapping[str, Any]) -> Membership:
    """What this machine knows already of the cluster that it is in. Raises ServerMisconfigured."""
    etcd = known.get("etcd", {})
    first, addresses = [etcd[key] for key in ("addr",) if key in etcd], listing(host_port())
    try:
        more = addresses.trafaret.check(etcd.get("more-addrs", []))
        members = frozenset((*addresses.trafaret.check(first), *more))
    except t.DataError as error:
        raise ServerMisconfigured(f"{plan.config}: addr or more-addrs of [etcd]: {error}") from None
    named = known.get("agent", {}).get("manager-public-keys-file")
    file = Path(str(named)) if named else plan.folder / MANAGER_KEYS_FILE
    try:
        keys = frozenset(file.read_text("utf-8").split())
    except FileNotFoundError:
        keys = frozenset()
    except (OSError, ValueError) as error:
        raise ServerMisconfigured(f"cannot read {file}: {error}") from error
    return Membership(etcd.get("namespace"), members, keys)
