"""What a kernel does by itself before and besides what it is asked: the files of its home, the
bootstrap script and the startup command.
"""

import logging
import os
import time
from pathlib import Path
from typing import Literal

import msgspec

from backendai.kernel.runner.console import ConsoleLog
from backendai.kernel.runner.home import lay_files
from backendai.kernel.runner.stages import Stages
from backendai.kernel.wire import EXIT_NAME, ExitRecord, KernelSetup

BOOTSTRAP_NAME = "bootstrap.sh"

_logger = logging.getLogger(__name__)


class Startup:
    """Lays the files, runs the script and the command, and remembers how they went.

    `log` is the console log: what goes wrong is told there too, where the user looks.
    """

    def __init__(
        self, setup: KernelSetup, run_dir: Path, work_dir: Path, log: ConsoleLog, stages: Stages
    ) -> None:
        self._setup = setup
        self._run_dir = run_dir
        self._work_dir = work_dir
        self._log = log
        self._stages = stages
        self._problems: list[str] = []
        self.is_done = False
        self.bootstrap_exit_code: int | None = None

    @property
    def reason(self) -> str:
        """What went wrong, in words."""
        return "; ".join(self._problems)

    async def bootstrap(self) -> None:
        """What fails is told, and the session goes on."""
        for problem in lay_files(self._work_dir, self._setup.files):
            self._tell(problem)
        if self._setup.bootstrap_script:
            await self._run_script(self._setup.bootstrap_script)
        self.is_done = True

    async def _run_script(self, script: str) -> None:
        try:
            path = write_script(self._run_dir / BOOTSTRAP_NAME, script)
        except OSError as error:
            self._tell(f"the bootstrap script cannot be written: {error}")
            return
        prefix = "" if script.startswith("#!") else "sh "
        self.bootstrap_exit_code = await self._stages.run_command(f"{prefix}'{path}'", None)
        if self.bootstrap_exit_code:
            self._tell(f"the bootstrap script ended with exit code {self.bootstrap_exit_code}")

    def _tell(self, problem: str) -> None:
        self._problems.append(problem)
        self._log.write(f"{problem}\n".encode())
        _logger.warning(problem)

    async def run_startup_command(self) -> int:
        command = self._setup.startup_command
        return await self._stages.run_command(command, None) if command else 0


def write_script(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o755), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def record_exit(
    run_dir: Path, exit_code: int, reason: Literal["finished", "terminated", "shutdown"]
) -> None:
    """Put `exit.json` in place at once and durably; a full disk is said and does not change the
    exit.
    """
    record = ExitRecord(exit_code=exit_code, reason=reason, ended_at=time.time())
    part = run_dir / (EXIT_NAME + ".part")
    try:
        with part.open("wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        part.replace(run_dir / EXIT_NAME)
    except OSError as error:
        _logger.error("%s cannot be written: %s", EXIT_NAME, error)
