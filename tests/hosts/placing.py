"""Sessions on the host that is meant. `api` is a superadmin's, who may choose."""

from typing import Any, Final

from tests.hosts.host import Host
from tests.running.rest import Api
from tests.running.sessions import batch, resources, start

SMALL: Final = resources(cpu="0.1", mem="64m")


def place(api: Api, name: str, host: Host, **changes: Any) -> str:
    """The id of a session that runs there."""
    return start(api, name, kind="busybox", config=_on(host), **changes)


def place_batch(api: Api, name: str, host: Host, command: str) -> str:
    """The id of a queued batch session that will run `command` there."""
    return batch(api, name, command, kind="busybox", config=_on(host))


def _on(host: Host) -> dict[str, Any]:
    return {**SMALL, "agent_list": [host.agent_id]}
