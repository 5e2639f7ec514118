"""Long work of `up` in a process of its own, which can be ended at any moment, as a thread cannot.

Ended, it cleans up behind itself: what was half made is gone when `run_errand` returns. Parent and
child speak in lines of JSON; every other line is a word of some program, told when the work fails.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .faults import SetupFault
from .places import Layout

Say = Callable[[str], None]
_END_SECONDS = 15.0


async def run_errand(name: str, arguments: Mapping[str, Any], say: Say) -> None:
    """Do one of `ERRANDS` to its end. Raises what it raises: SetupFault, or OSError."""
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "TERM"),
        *(sys.executable, "-m", "backendai.halfstack.errand", name, json.dumps(arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # The terminal's Ctrl-C is for us: we pass it on once, and wait.
        start_new_session=True,
    )
    try:
        fault = await _listen(process, say)
        if await process.wait() != 0:
            raise fault
    finally:
        await _end(process)


async def _listen(process: asyncio.subprocess.Process, say: Say) -> Exception:
    """Tell what it says; returns what there is to raise should it have failed."""
    words: list[str] = []
    assert process.stdout is not None
    async for line in process.stdout:
        match _decode(line):
            case {"say": str(note)}:
                say(note)
            case {"problem": str(problem), "fix": str(fix)}:
                return SetupFault(problem, fix)
            case {"errno": int(number), "strerror": strerror, "filename": filename}:
                return OSError(number, strerror, filename)
            case _:
                words.append(line.decode("utf-8", "replace"))
    return RuntimeError("".join(words[-40:]) or "it ended without a word")


def _decode(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _make_images(say: Say, root: str, backend: str, docker_host: str, pulled: Any) -> None:
    from .images import bring_images

    bring_images(Layout(Path(root)), backend, docker_host, pulled, say)


def _build_bundle(say: Say, folder: str) -> None:
    from backendai.kernel.bundle import BundleError, build_bundle

    try:
        build_bundle(Path(folder), progress=say)
    except BundleError as error:
        raise SetupFault(str(error), "correct that and run `./bai up` again") from error


def _build_gui(say: Say, checkout: str) -> None:
    from .gui import build_gui
    from .images import find_cache

    build_gui(Path(checkout), find_cache(), say)


ERRANDS: Mapping[str, Callable[..., None]] = {
    "images": _make_images,
    "bundle": _build_bundle,
    "gui": _build_gui,
}


def _do(name: str, arguments: Mapping[str, Any]) -> int:
    """In the child. The interruption is an exception there, so that each `finally` runs."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        ERRANDS[name](lambda note: _tell(say=note), **arguments)
    except SetupFault as fault:
        _tell(problem=fault.problem, fix=fault.fix)
    except OSError as error:
        if error.errno is None:
            raise
        _tell(errno=error.errno, strerror=error.strerror, filename=str(error.filename or ""))
    except KeyboardInterrupt:
        pass
    else:
        return 0
    return 1


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.getpgid(0) == os.getpid():
        # The programs that it runs end too, each in its own way.
        os.killpg(0, signal.SIGTERM)
    raise KeyboardInterrupt


def _tell(**words: Any) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    sys.exit(_do(sys.argv[1], json.loads(sys.argv[2])))
