"""How the relay gets into a container: the kernel's runner passes a socket out that is connected to
the app.
"""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backendai.common.failpoints import failpoint
from backendai.common.tickets import Refusal, RelayCode, Ticket
from backendai.kernel.connect import open_door
from backendai.kernel.peer import RunnerError, RunnerGone

# A built-in app may have to be started first.
OPEN_SECONDS: Final = 8.0
_CODES: Final[dict[str, RelayCode]] = {
    "busy": RelayCode.BUSY,
    "not-started": RelayCode.REFUSED,
    "refused": RelayCode.REFUSED,
    "unknown-app": RelayCode.REFUSED,
}


class Opening:
    """Opens doors of kernels; `run_dir` tells where a kernel's runner listens."""

    def __init__(self, run_dir: Callable[[str, int], Path]) -> None:
        self._run_dir = run_dir

    async def __call__(self, ticket: Ticket) -> "socket.socket | Refusal":
        await failpoint("agent.relay.before_door")
        folder = self._run_dir(ticket.kernel, ticket.generation)
        try:
            door = await open_door(folder, ticket.app, ticket.port, OPEN_SECONDS)
        except RunnerError as error:
            code = _CODES.get(error.code, RelayCode.FAILED)
            return Refusal(code, error.message)
        except RunnerGone as error:
            return Refusal(RelayCode.FAILED, str(error))
        await failpoint("agent.relay.after_door")
        return door
