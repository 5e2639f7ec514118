"""Checks of the machine that a manager runs on: files, keys, disk, its port."""

import asyncio
import shutil
import socket
import stat
from pathlib import Path
from typing import Final

import aiohttp

from backendai.common.faults import ServerMisconfigured
from backendai.common.rpc.curve import load_keypair
from backendai.common.secretfile import load_secret_key
from backendai.common.settings.checks import HostPort
from backendai.manager.settings import ManagerSettings, ServiceSettings

from .model import Finding, advise, fail, judge_disk, judge_mode, ok

ANSWER_SECONDS: Final = 5.0
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to be asked, not bound


def check_file(path: Path) -> Finding:
    return judge_mode(str(path), stat.S_IMODE(path.stat().st_mode))


def check_keys(own: ServiceSettings) -> list[Finding]:
    return [_check_secret_key(own), _check_rpc_keypair(own)]


def check_disk(settings: ManagerSettings) -> Finding:
    files = [settings.manager.config_cache, settings.logging.file]
    folders = {_existing(file.absolute().parent) for file in files if file is not None}
    return judge_disk({str(each): shutil.disk_usage(each).free for each in sorted(folders)})


async def check_port(own: ServiceSettings) -> Finding:
    """Free, or a manager's that is well."""
    address = own.service_addr
    if address.port == 0 or await asyncio.to_thread(_is_free, address):
        return ok("port", f"{address} is free; no manager runs on it")
    url = f"http://{HostPort(_EVERYWHERE.get(address.host, address.host), address.port)}/health"
    try:
        timeout = aiohttp.ClientTimeout(ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            told = await answer.json()
        standing = told["unhealthy_loops"]
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
        fix = "stop what listens there, or choose another [manager] service-addr"
        return fail("port", f"what listens on {address} answers no manager's {url}", fix)
    if standing:
        fix = "see the manager's log, and restart it"
        return fail("port", f"the manager on {address} stands still: {', '.join(standing)}", fix)
    return ok("port", f"a manager serves on {address}")


def _check_secret_key(own: ServiceSettings) -> Finding:
    try:
        load_secret_key(own.secret_key_file)
    except ServerMisconfigured as fault:
        fix = (
            "let its owner alone read it, or take it from the backup; a new cluster gets one by "
            "`backendai mgr generate-secret-key`"
        )
        return fail("secret key", fault.detail, fix)
    return ok("secret key", str(own.secret_key_file))


def _check_rpc_keypair(own: ServiceSettings) -> Finding:
    fix = "`backendai mgr generate-rpc-keypair`, name it as [manager] rpc-keypair, tell the agents"
    if own.rpc_keypair is None:
        return advise("RPC keypair", "none: what goes to and from agents is not encrypted", fix)
    try:
        load_keypair(own.rpc_keypair)
    except ServerMisconfigured as fault:
        return fail("RPC keypair", fault.detail, fix)
    return ok("RPC keypair", str(own.rpc_keypair))


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _is_free(address: HostPort) -> bool:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except OSError:
        return False
    return True
