"""What OpenSSH says when `backendai ssh` leads it to a session."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from backendai.client.cli.apps.ssh import _identity


def ask_ssh(place: Path, port: int) -> subprocess.CompletedProcess[str]:
    options = _identity(place, "one")
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    words = ["ssh", "-F", "none", *given, "-p", str(port), "work@127.0.0.1", "true"]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


@asynccontextmanager
async def serving(host_key: asyncssh.SSHKey, client: asyncssh.SSHKey) -> AsyncIterator[int]:
    """The port of a server that lets the client in."""
    known = asyncssh.import_authorized_keys(client.export_public_key().decode())
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=known,
        process_factory=lambda process: process.exit(0),
        config=[],
    )
    async with server:
        yield server.get_port()


async def test_a_host_key_is_noted_quietly_and_a_changed_one_refused_aloud(tmp_path: Path) -> None:
    key, *host_keys = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
    (tmp_path / "one.key").touch(mode=0o600)
    (tmp_path / "one.key").write_bytes(key.export_private_key())
    async with serving(host_keys[0], key) as port:
        for _ in range(2):
            done = await asyncio.to_thread(ask_ssh, tmp_path, port)
            assert (done.returncode, done.stderr) == (0, "")
    async with serving(host_keys[1], key) as port:
        done = await asyncio.to_thread(ask_ssh, tmp_path, port)
    assert done.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr
