"""The session's key for SSH, made by a process beside: when somebody asks for it, or else a while
after the start.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backendai.kernel.runner.environment import hide_preload, make_bundle_command
from backendai.kernel.runner.programs import Programs

KEY_NAME: Final = "id_container"
# As the program knows it, which is not imported here.
SEED_VARIABLE: Final = "BACKENDAI_KEY_SEED"
# Sessions that start together are not held up by it.
IDLE_SECONDS: Final = 5.0

_logger = logging.getLogger(__name__)


class SessionKey:
    """Lies in the work directory, where its owner downloads it; what lies there already stays, but
    not where siblings have the key of a `seed` in common."""

    def __init__(
        self, programs: Programs, environ: Mapping[str, str], work_dir: Path, seed: str = ""
    ) -> None:
        self._programs = programs
        self._environ = {**hide_preload(environ), SEED_VARIABLE: seed}
        self._work_dir = work_dir
        self._making = asyncio.Lock()
        self._is_made = False

    async def ensure(self) -> None:
        """It is there now, unless it cannot be: that is logged, and tried again the next time."""
        async with self._making:
            if self._is_made:
                return
            try:
                command = make_bundle_command("keys", str(self._work_dir))
                await self._programs.run(command, self._environ)
                self._is_made = True
            except (OSError, ValueError) as error:
                _logger.warning("no key for SSH: %s", error)

    async def ensure_later(self) -> None:
        await asyncio.sleep(IDLE_SECONDS)
        await self.ensure()

    def is_at(self, path: str) -> bool:
        """Whether this path, of the work directory or a whole one, means the key."""
        return os.path.normpath(self._work_dir / path) == str(self._work_dir / KEY_NAME)
