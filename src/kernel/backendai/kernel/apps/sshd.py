"""The SSH server of a session: shells, commands, files (SFTP, scp) and ports inside the container.

Whoever has the session's key, or one that its home authorises, is let in under any name.
"""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Final

import asyncssh

from backendai.kernel.apps.conversation import Conversations
from backendai.kernel.apps.keys import KEY_NAME, make_key
from backendai.kernel.apps.main import Close, Situation

HOST_KEY_PATH: Final = "ssh/host_key"
AUTHORIZED_PATH: Final = ".ssh/authorized_keys"
LOGIN_SECONDS_MAX: Final = 30
KEEPALIVE_SECONDS: Final = 60
LOOPBACKS: Final = frozenset(("localhost", "127.0.0.1", "::1", "ip6-localhost"))

_logger = logging.getLogger(__name__)


async def serve(listener: socket.socket, situation: Situation) -> Close:
    asyncssh.set_log_level(logging.WARNING)
    make_key(situation.work_dir / KEY_NAME)
    host_key = situation.run_dir / HOST_KEY_PATH
    host_key.parent.mkdir(mode=0o700, exist_ok=True)
    make_key(host_key)
    conversations = Conversations(situation)
    server = await asyncssh.listen(
        sock=listener,
        config=[],
        server_factory=lambda: Guard(situation.work_dir),
        server_host_keys=[str(host_key)],
        process_factory=conversations.hold,
        sftp_factory=FileServer,
        allow_scp=True,
        encoding=None,
        login_timeout=LOGIN_SECONDS_MAX,
        keepalive_interval=KEEPALIVE_SECONDS,
    )

    async def close() -> None:
        server.close()
        await asyncio.wait_for(server.wait_closed(), 1.0)

    return close


class FileServer(asyncssh.SFTPServer):
    """Says that all went well when its client is done: `scp` takes silence for a failure."""

    def exit(self) -> None:
        self.channel.exit(0)


class Guard(asyncssh.SSHServer):
    """Decides who gets in and what may be connected to."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Looked up each time: a key may be replaced while the session lives."""
        return key.public_data in list_authorized(self._work_dir)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        """Programs of this container alone; what is beyond is not reached through here."""
        return dest_host.lower() in LOOPBACKS

    def unix_connection_requested(self, dest_path: str) -> bool:
        return True


def list_authorized(work_dir: Path) -> set[bytes]:
    """The public parts of the session's key and of those that the home authorises."""
    found: set[bytes] = set()
    try:
        found.add(asyncssh.read_private_key(str(work_dir / KEY_NAME)).public_data)
    except (OSError, ValueError) as error:
        _logger.warning("the session's key is of no use: %s", error)
    try:
        lines = (work_dir / AUTHORIZED_PATH).read_text("utf-8", "replace").splitlines()
    except OSError:
        return found
    for line in lines:
        words = line.strip()
        if words and not words.startswith("#"):
            found |= _read_public(words)
    return found


def _read_public(line: str) -> set[bytes]:
    """Options before a key are not honoured, so a line that has some is passed over."""
    try:
        return {asyncssh.import_public_key(line).public_data}
    except ValueError:
        _logger.warning("a line of %s is no plain public key", AUTHORIZED_PATH)
        return set()
