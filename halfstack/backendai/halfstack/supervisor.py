"""The one process that keeps the services of an instance running.

It may die at any time: services go on, and the next one adopts them. Started as
`python -m backendai.halfstack.supervisor STATE_DIR`, normally by `control.start_supervisor`.
"""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .keeper import Keeper
from .places import Layout, write_file
from .services import Service, decode_services, encode_services, order_to_stop

_LOG_BYTES_MAX = 10 * 1024 * 1024
_ROTATE_EVERY_SECONDS = 15.0
EXIT_ALREADY_RUNNING = 64


class Supervisor:
    """Keepers by name, and the wanted services on disk so that a successor knows them."""

    def __init__(self, layout: Layout, group: asyncio.TaskGroup) -> None:
        self._layout = layout
        self._group = group
        self._keepers: dict[str, Keeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()
        self._wanted_file = layout.run / "services.json"
        self.ended = asyncio.Event()

    async def resume(self) -> None:
        """Take over what a predecessor was told to keep."""
        if self._wanted_file.exists():
            await self.ensure(decode_services(json.loads(self._wanted_file.read_text())))

    async def ensure(self, services: tuple[Service, ...]) -> None:
        """Keep these from now on; one whose specification changed is restarted."""
        async with self._changing:
            for service in services:
                await self._ensure_one(service)
            self._save()

    async def stop(self, names: tuple[str, ...]) -> None:
        """Stop and forget; what depends on others goes first."""
        async with self._changing:
            chosen = [self._keepers[name].service for name in names if name in self._keepers]
            for wave in order_to_stop(chosen):
                async with asyncio.TaskGroup() as group:
                    for name in wave:
                        group.create_task(self._stop_one(name), name=f"stop {name}")
            self._save()

    async def restart(self, name: str) -> None:
        async with self._changing:
            service = self._keepers[name].service
            await self._stop_one(name)
            await self._ensure_one(service)

    async def shut_down(self) -> None:
        await self.stop(tuple(self._keepers))
        self.ended.set()

    def describe(self) -> list[dict[str, Any]]:
        return [asdict(keeper.describe()) for keeper in self._keepers.values()]

    def cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def rotate_logs(self) -> None:
        while True:
            for log in self._layout.log.glob("*.log"):
                rotate(log)
            await asyncio.sleep(_ROTATE_EVERY_SECONDS)

    async def _ensure_one(self, service: Service) -> None:
        known = self._keepers.get(service.name)
        if known is not None and known.service == service:
            return
        if known is not None:
            await self._cancel_task(service.name)
        keeper = Keeper(self._layout, service, self._are_healthy)
        self._keepers[service.name] = keeper
        self._tasks[service.name] = self._group.create_task(keeper.run(), name=service.name)

    async def _stop_one(self, name: str) -> None:
        await self._cancel_task(name)
        await self._keepers[name].stop()
        del self._keepers[name]

    async def _cancel_task(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])

    def _are_healthy(self, names: tuple[str, ...]) -> bool:
        return all(name in self._keepers and self._keepers[name].is_healthy for name in names)

    def _save(self) -> None:
        wanted = encode_services(keeper.service for keeper in self._keepers.values())
        write_file(self._wanted_file, json.dumps(wanted, indent=1))


def rotate(log: Path) -> None:
    """Keep one old file. The writer holds the file open for appending, so copy and truncate."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES_MAX:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


async def serve(layout: Layout) -> None:
    """Run until told to shut down. SIGTERM ends the supervisor alone, services go on."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        supervisor = Supervisor(layout, group)
        loop.add_signal_handler(signal.SIGTERM, supervisor.ended.set)
        rotation = group.create_task(supervisor.rotate_logs(), name="rotate logs")
        async with _control(layout, supervisor):
            await supervisor.resume()
            await supervisor.ended.wait()
        rotation.cancel()
        supervisor.cancel()


@asynccontextmanager
async def _control(layout: Layout, supervisor: Supervisor) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _reply_to(supervisor, await reader.readline())
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except ConnectionError as error:
            print(f"control: dropped a client: {error}", flush=True)
        finally:
            writer.close()

    layout.control_socket.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(
            answer, str(layout.control_socket), limit=4 * 1024 * 1024
        )
    finally:
        os.umask(before)
    try:
        yield
    finally:
        server.close()
        layout.control_socket.unlink(missing_ok=True)


async def _reply_to(supervisor: Supervisor, line: bytes) -> dict[str, Any]:
    try:
        return await _obey(supervisor, json.loads(line))
    except (OSError, ValueError, TypeError, KeyError) as error:
        return {"problem": f"the order could not be carried out: {error!r}"}


async def _obey(supervisor: Supervisor, order: dict[str, Any]) -> dict[str, Any]:
    match order:
        case {"do": "status"}:
            return {"pid": os.getpid(), "services": supervisor.describe()}
        case {"do": "ensure", "services": list(rows)}:
            await supervisor.ensure(decode_services(rows))
        case {"do": "stop", "names": list(names)}:
            await supervisor.stop(tuple(names))
        case {"do": "restart", "name": str(name)}:
            await supervisor.restart(name)
        case {"do": "shutdown"}:
            await supervisor.shut_down()
        case _:
            return {"problem": f"unknown order {order.get('do')!r}"}
    return {"pid": os.getpid()}


def main() -> int:
    """Hold the lock of the state directory for as long as the process lives."""
    layout = Layout(Path(sys.argv[1]))
    layout.make()
    lock = os.open(layout.run / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return EXIT_ALREADY_RUNNING
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    asyncio.run(serve(layout))
    return 0


if __name__ == "__main__":
    sys.exit(main())
