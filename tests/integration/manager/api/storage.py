"""A storage proxy on a directory: the manager-facing endpoints that managers use, and no more."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from backendai.common.enums import HostPermission
from backendai.common.etcd import EtcdStore
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from tests.integration.manager.api.caller import Caller, until

HOST = "local:volume1"
SECRET = "the-secret-of-the-proxy"
CLIENT_API = "http://storage.example.com:6021"
Handler = Callable[[dict[str, Any]], Awaitable[Any]]


@dataclass
class ScriptedStorage:
    """`refusals` are answered instead, by path: (status, body). `hangs` are paths that wait until
    `release`. What was asked is kept in `asked`."""

    root: Path
    name: str = "local"
    volumes: tuple[str, ...] = ("volume1", "volume2")
    port: int = 0
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    refusals: dict[str, tuple[int, Any]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    limits: dict[str, int | None] = field(default_factory=dict)
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()

    def release(self) -> None:
        self.hangs.clear()
        self._released.set()

    async def register(self, etcd: EtcdStore) -> None:
        pairs = {
            "client_api": CLIENT_API,
            "manager_api": f"http://127.0.0.1:{self.port}",
            "secret": SECRET,
            "ssl_verify": "false",
        }
        for key, value in pairs.items():
            await etcd.put(f"volumes/proxies/{self.name}/{key}", value)
        await etcd.put("volumes/default_host", HOST)

    def folder(self, vfid: str, volume: str = "volume1") -> Path:
        scope, _, folder_id = vfid.partition("/")
        return self.root / volume / scope.replace(":", "-") / folder_id

    @property
    def orders(self) -> list[tuple[str, str, dict[str, Any]]]:
        """What of it changes something; managers look at volumes by themselves, now and then."""
        return [asked for asked in self.asked if asked[0] != "GET"]

    def asked_for(self, path: str) -> list[dict[str, Any]]:
        return [body for _, asked, body in self.asked if asked == path]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        path = f"/{request.match_info['path']}"
        self.asked.append((request.method, path, body))
        if request.headers.get("X-BackendAI-Storage-Auth-Token") != SECRET:
            return web.json_response({"title": "Forbidden"}, status=403)
        if path in self.hangs:
            await self._released.wait()
        if path in self.refusals:
            status, told = self.refusals[path]
            return web.json_response(told, status=status)
        try:
            found = await self._handlers()[request.method, path](body)
        except OSError as error:
            told = {"msg": os.strerror(error.errno or 0), "errno": error.errno, "paths": []}
            return web.json_response(told, status=400)
        if isinstance(found, web.Response):
            return found
        return web.Response(status=204) if found is None else web.json_response(found)

    def _handlers(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/volumes"): self._volumes,
            ("GET", "/volume/performance-metric"): self._metric,
            ("GET", "/volume/hwinfo"): self._hardware,
            ("POST", "/quota-scope"): self._make_scope,
            ("GET", "/quota-scope"): self._scope,
            ("PATCH", "/quota-scope"): self._limit,
            ("DELETE", "/quota-scope/quota"): self._unlimit,
            ("POST", "/folder/create"): self._create,
            ("POST", "/folder/delete"): self._delete,
            ("POST", "/folder/clone"): self._clone,
            ("GET", "/folder/mount"): self._mount,
            ("GET", "/folder/usage"): self._usage,
            ("GET", "/folder/used-bytes"): self._usage,
            ("GET", "/folder/fs-usage"): self._fs_usage,
            ("POST", "/folder/file/mkdir"): self._mkdir,
            ("POST", "/folder/file/list"): self._list,
            ("POST", "/folder/file/rename"): self._rename,
            ("POST", "/folder/file/move"): self._move,
            ("POST", "/folder/file/delete"): self._delete_files,
            ("POST", "/folder/file/upload"): self._token,
            ("POST", "/folder/file/download"): self._token,
            ("POST", "/folder/file/extract"): self._token,
            ("POST", "/folder/file/copy"): self._copy,
        }

    async def _volumes(self, _body: dict[str, Any]) -> Any:
        path = str(self.root)
        rows = [
            {
                "name": name,
                "backend": "vfs",
                "path": path,
                "fsprefix": "",
                "capabilities": ["vfs"],
                "volume_id": f"id-of-{name}",
            }
            for name in self.volumes
        ]
        return {"volumes": rows}

    async def _metric(self, _body: dict[str, Any]) -> Any:
        names = ("iops_read", "iops_write", "io_bytes_read", "io_bytes_write")
        return {"metric": dict.fromkeys([*names, "io_usec_read", "io_usec_write"], 1.5)}

    async def _hardware(self, _body: dict[str, Any]) -> Any:
        return {"status": "healthy", "status_info": None, "metadata": {"disks": 2}}

    async def _make_scope(self, body: dict[str, Any]) -> Any:
        key = f"{body['volume']}/{body['qsid']}"
        if key in self.limits:
            return web.json_response({"msg": "it is there already"}, status=409)
        self.limits[key] = (body["options"] or {}).get("limit_bytes")
        return None

    async def _scope(self, body: dict[str, Any]) -> Any:
        limit = self.limits.get(f"{body['volume']}/{body['qsid']}", ...)
        if limit is ...:
            return web.json_response({"msg": "there is none"}, status=404)
        return {"used_bytes": 7, "limit_bytes": limit}

    async def _limit(self, body: dict[str, Any]) -> Any:
        self.limits[f"{body['volume']}/{body['qsid']}"] = body["options"]["limit_bytes"]

    async def _unlimit(self, body: dict[str, Any]) -> Any:
        self.limits[f"{body['volume']}/{body['qsid']}"] = None

    async def _create(self, body: dict[str, Any]) -> Any:
        self._at(body).mkdir(parents=True)

    async def _delete(self, body: dict[str, Any]) -> Any:
        shutil.rmtree(self._at(body))

    async def _clone(self, body: dict[str, Any]) -> Any:
        source = self.folder(body["src_vfid"], body["src_volume"])
        shutil.copytree(source, self.folder(body["dst_vfid"], body["dst_volume"]))

    async def _mount(self, body: dict[str, Any]) -> Any:
        path = self._at(body, "subpath")
        path.stat()
        return {"path": str(path)}

    async def _usage(self, body: dict[str, Any]) -> Any:
        files = [path for path in self._at(body).rglob("*") if path.is_file()]
        return {"file_count": len(files), "used_bytes": sum(each.stat().st_size for each in files)}

    async def _fs_usage(self, _body: dict[str, Any]) -> Any:
        return {"capacity_bytes": 1000, "used_bytes": 250}

    async def _mkdir(self, body: dict[str, Any]) -> Any:
        self._at(body, "relpath").mkdir(parents=body["parents"], exist_ok=body["exist_ok"])

    async def _list(self, body: dict[str, Any]) -> Any:
        return {"items": [_entry(path) for path in sorted(self._at(body, "relpath").iterdir())]}

    async def _rename(self, body: dict[str, Any]) -> Any:
        path = self._at(body, "relpath")
        path.rename(path.with_name(body["new_name"]))

    async def _move(self, body: dict[str, Any]) -> Any:
        self._at(body, "src_relpath").rename(self._at(body, "dst_relpath"))

    async def _copy(self, body: dict[str, Any]) -> Any:
        shutil.copytree(self._at(body, "src_relpath"), self._at(body, "dst_relpath"))

    async def _delete_files(self, body: dict[str, Any]) -> Any:
        for name in body["relpaths"]:
            path = self._at(body) / name
            if path.is_dir() and not body["recursive"]:
                raise IsADirectoryError(errno.EISDIR, "is a directory")
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return {"status": "ok"}

    async def _token(self, body: dict[str, Any]) -> Any:
        return {"token": f"token-for-{body['relpath']}"}

    def _at(self, body: dict[str, Any], key: str | None = None) -> Path:
        folder = self.folder(body["vfid"], body["volume"])
        return folder / body[key] if key else folder


def _entry(path: Path) -> dict[str, Any]:
    found = path.stat()
    at = datetime.fromtimestamp(found.st_mtime, UTC).isoformat()
    return {
        "name": path.name,
        "type": "DIRECTORY" if path.is_dir() else "FILE",
        "stat": {"mode": found.st_mode, "size": found.st_size, "created": at, "modified": at},
        "symlink_target": "",
    }


@pytest.fixture
async def storage(manager: Manager, tmp_path: Path) -> AsyncIterator[ScriptedStorage]:
    """A proxy that the manager has learned of, and everything allowed on its first volume."""
    scripted = ScriptedStorage(tmp_path)
    await scripted.start()
    await scripted.register(manager.stores.etcd)
    await allow(manager, {HOST: [*HostPermission]})

    async def is_known() -> bool:
        address = manager.stores.proxies.config.proxies.get("local")
        return address is not None and address.manager_api.endswith(f":{scripted.port}")

    await until(is_known)
    yield scripted
    await scripted.stop()
    async with manager.stores.database.begin() as connection:
        for table in (t.session_mounts, t.vfolders, t.quota_scopes):
            await connection.execute(sa.delete(table))
        await connection.execute(sa.delete(t.tasks))
        limits = {"max_vfolder_count": 0, "max_quota_scope_size": -1}
        await connection.execute(sa.update(t.user_policies).values(limits))


async def allow(manager: Manager, hosts: dict[str, list[Any]]) -> None:
    async with manager.stores.database.begin() as connection:
        values = {host: [str(word) for word in words] for host, words in hosts.items()}
        await connection.execute(sa.update(t.domains).values(allowed_vfolder_hosts=values))


async def make(caller: Caller, name: str = "data", **more: Any) -> dict[str, Any]:
    answer = await caller.ask("POST", "/folders", body_of(name, **more))
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json
    return made


def body_of(name: str, **more: Any) -> dict[str, Any]:
    """As the official client writes it."""
    return {
        "name": name,
        "host": HOST,
        "unmanaged_path": None,
        "group": None,
        "usage_mode": "general",
        "permission": "rw",
        "quota": "0",
        "cloneable": False,
        **more,
    }
