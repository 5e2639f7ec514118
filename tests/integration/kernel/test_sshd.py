"""The SSH server as clients meet it: asyncssh's, and OpenSSH's where there is one."""

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backendai.kernel.connect import open_door
from backendai.kernel.runner import keys
from backendai.kernel.wire import Download, StopApp, Upload

from .conftest import ASK_SECONDS, Kernel, StartKernel, wait_until

KEY = keys.KEY_NAME


@pytest.fixture
async def kernel(start_kernel: StartKernel, tmp_path: Path) -> Kernel:
    # Not the start-up files of whoever runs the tests.
    return await start_kernel(environ={"HOME": str(tmp_path), "SHELL": "/bin/sh"})


async def fetch_key(kernel: Kernel) -> asyncssh.SSHKey:
    """As a client does: a download, before it connects."""
    reply = await kernel.ask(Download(path=KEY))
    assert reply.last
    return asyncssh.import_private_key((kernel.work_dir / KEY).read_bytes())


@asynccontextmanager
async def connect(
    kernel: Kernel, key: asyncssh.SSHKey | None = None
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    key = key or await fetch_key(kernel)
    door = await open_door(kernel.run_dir, "sshd", 0, ASK_SECONDS)
    connection = await asyncssh.connect(
        "", sock=door, username="work", client_keys=[key], known_hosts=None, config=[]
    )
    async with connection:
        yield connection


async def test_a_key_waits_in_the_home_for_its_owner_alone(kernel: Kernel) -> None:
    key = await fetch_key(kernel)
    assert key.algorithm == b"ssh-ed25519"
    assert stat.S_IMODE((kernel.work_dir / KEY).stat().st_mode) == 0o600
    again = await fetch_key(kernel)
    assert again.public_data == key.public_data


async def test_a_key_that_is_there_stays(kernel: Kernel) -> None:
    mine = asyncssh.generate_private_key("ssh-ed25519")
    text = mine.export_private_key()
    await kernel.ask(StopApp(name="sshd"))
    (kernel.work_dir / KEY).unlink(missing_ok=True)
    await kernel.ask(Upload(path=KEY, offset=0, data=text, last=True))
    async with connect(kernel, mine) as connection:
        assert (await connection.run("echo hi")).stdout == "hi\n"


async def test_siblings_have_one_key_and_are_let_in_over_the_network(
    start_kernel: StartKernel, tmp_path: Path
) -> None:
    seed = bytes(range(32))
    kernel = await start_kernel(
        environ={"HOME": str(tmp_path), "SHELL": "/bin/sh"}, cluster_key=seed.hex()
    )
    key = await fetch_key(kernel)
    own = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    assert key.convert_to_public() == asyncssh.import_public_key(
        own.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    )
    options = {"username": "work", "known_hosts": None, "config": []}
    for _ in range(2):
        async with asyncssh.connect("127.0.0.1", 2200, client_keys=[key], **options) as connection:
            assert (await connection.run("echo hi")).stdout == "hi\n"
        # Who comes after it was stopped finds it again.
        await kernel.ask(StopApp(name="sshd"))
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect("127.0.0.1", 2200, client_keys=[stranger], **options)


async def test_another_key_is_not_let_in(kernel: Kernel) -> None:
    await fetch_key(kernel)
    with pytest.raises(asyncssh.PermissionDenied):
        async with connect(kernel, asyncssh.generate_private_key("ssh-ed25519")):
            pass


async def test_keys_that_the_home_authorises_are_let_in(kernel: Kernel) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    folder = kernel.work_dir / ".ssh"
    folder.mkdir()
    line = key.export_public_key().decode()
    (folder / "authorized_keys").write_text(f"# mine\nnonsense\n\n{line}")
    async with connect(kernel, key) as connection:
        assert (await connection.run("echo hi")).stdout == "hi\n"


async def test_output_errors_and_status_are_whole_each_time(kernel: Kernel) -> None:
    async with connect(kernel) as connection:
        for _ in range(100):
            result = await connection.run("echo out; echo err >&2; exit 3")
            assert (result.stdout, result.stderr, result.exit_status) == ("out\n", "err\n", 3)


async def test_input_of_any_size_goes_through(kernel: Kernel) -> None:
    data = os.urandom(3_000_000)
    async with connect(kernel) as connection:
        result = await connection.run("cat", input=data, encoding=None)
        assert result.stdout == data
        ended = await connection.run("kill -9 $$")
        assert ended.exit_signal is not None
        assert ended.exit_signal[0] == "KILL"


async def test_a_terminal_has_its_size_and_its_keys(kernel: Kernel) -> None:
    async with (
        connect(kernel) as connection,
        connection.create_process(
            term_type="xterm-256color", term_size=(100, 30), env={"LANG": "C.UTF-8", "EVIL": "1"}
        ) as shell,
    ):
        shell.stdin.write("stty size; echo $TERM $LANG .$EVIL.\n")
        await shell.stdout.readuntil("30 100\r\n")
        await shell.stdout.readuntil("xterm-256color C.UTF-8 ..\r\n")
        shell.change_terminal_size(120, 40)
        shell.stdin.write("stty size\n")
        await shell.stdout.readuntil("40 120\r\n")
        shell.stdin.write("echo go''ing; sleep 1000\n")
        await shell.stdout.readuntil("going\r\n")
        shell.stdin.write("\x03")
        shell.stdin.write("sleep 1000 & exit 5\n")
        result = await shell.wait()
        assert result.exit_status == 5


async def test_what_a_client_leaves_running_goes_on(kernel: Kernel) -> None:
    mark = kernel.work_dir / "mark"
    async with connect(kernel) as connection:
        await connection.create_process("sleep 0.5; echo went on > mark")
        connection.abort()

    async def is_marked() -> bool:
        return mark.exists() and mark.read_text() == "went on\n"

    await wait_until(is_marked, "the command went on")
    async with connect(kernel) as connection:
        shell = await connection.create_process("echo $$; sleep 1000", term_type="vt100")
        pid = int(await shell.stdout.readline())
        connection.abort()

    async def is_gone() -> bool:
        return str(pid) not in os.listdir("/proc")  # noqa: PTH208 - names are all there is to it

    await wait_until(is_gone, "the shell was hung up on")


async def test_files_go_both_ways(kernel: Kernel, tmp_path: Path) -> None:
    data = os.urandom(2_000_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    async with connect(kernel) as connection:
        async with connection.start_sftp_client() as sftp:
            assert await sftp.realpath(".") == str(kernel.work_dir)
            await sftp.put(str(source), "put")
            assert (kernel.work_dir / "put").read_bytes() == data
            await sftp.get("put", str(tmp_path / "got"))
            assert [str(one.longname).split()[2] for one in await sftp.readdir(".")]
        await asyncssh.scp(str(source), (connection, "copied"))
        await asyncssh.scp((connection, "copied"), str(tmp_path / "back"))
    assert (tmp_path / "got").read_bytes() == (tmp_path / "back").read_bytes() == data


async def test_who_is_done_with_files_is_told_that_all_went_well(kernel: Kernel) -> None:
    # A greeting of the third version of the protocol, and the end.
    greeting = b"\x00\x00\x00\x05\x01\x00\x00\x00\x03"
    async with connect(kernel) as connection:
        done = await connection.run(
            subsystem="sftp", encoding=None, input=greeting, timeout=ASK_SECONDS
        )
    assert done.exit_status == 0


async def test_ports_inside_are_forwarded_and_others_are_not(kernel: Kernel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        async with connect(kernel) as connection:
            reader, writer = await connection.open_connection("localhost", port)
            inside, _ = await asyncio.to_thread(server.accept)
            with inside:
                inside.sendall(b"hello")
                assert await reader.read(10) == b"hello"
                writer.write(b"ho")
                assert await asyncio.to_thread(inside.recv, 10) == b"ho"
            for host in ("192.0.2.1", "metadata.example", ""):
                with pytest.raises(asyncssh.ChannelOpenError):
                    await connection.open_connection(host, port)
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port("", 0, "localhost", port)


async def test_the_host_is_the_same_after_a_restart(kernel: Kernel) -> None:
    async with connect(kernel) as connection:
        first = connection.get_server_host_key()
    await kernel.ask(StopApp(name="sshd"))
    async with connect(kernel) as connection:
        second = connection.get_server_host_key()
    assert first is not None
    assert second is not None
    assert first.public_data == second.public_data


@pytest.mark.parametrize("image", ["empty", "usr"])
async def test_every_image_is_reached(
    start_kernel: StartKernel, image: str, tmp_path: Path
) -> None:
    kernel = await start_kernel(image, variables={"LD_PRELOAD": "/no.so"})
    async with connect(kernel) as connection:
        result = await connection.run("echo $LD_PRELOAD; pwd; ls id_container")
        assert result.stdout == "/no.so\n/home/work\nid_container\n"
        async with connection.start_sftp_client() as sftp:
            assert await sftp.realpath(".") == "/home/work"
            assert "id_container" in await sftp.listdir(".")
        (tmp_path / "file").write_text("hi")
        await asyncssh.scp(str(tmp_path / "file"), (connection, "copied"))
        assert (await connection.run("cat copied")).stdout == "hi"


@asynccontextmanager
async def bridge(kernel: Kernel) -> AsyncIterator[int]:
    """A port of this machine that leads to the SSH server, as a relay would."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        door = await open_door(kernel.run_dir, "sshd", 0, ASK_SECONDS)
        inner, outer = await asyncio.open_connection(sock=door)
        await asyncio.gather(copy(reader, outer), copy(inner, writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH is not installed")
async def test_openssh_is_understood(kernel: Kernel, tmp_path: Path) -> None:
    await fetch_key(kernel)
    options = [
        *("-F", "none", "-i", str(kernel.work_dir / KEY), "-o", "StrictHostKeyChecking=no"),
        *("-o", f"UserKnownHostsFile={tmp_path}/known", "-o", "IdentitiesOnly=yes"),
    ]
    async with bridge(kernel) as port:
        for terminal, command, wanted in (
            ("-T", "echo $((6*7)); exit 4", (b"42\n", 4)),
            ("-tt", "test -t 0 && echo yes; exit 5", (b"yes\r\n", 5)),
        ):
            process = await asyncio.create_subprocess_exec(
                *("ssh", "-q", terminal, *options, "-p", str(port), "work@127.0.0.1", command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await asyncio.wait_for(process.communicate(), ASK_SECONDS)
            assert (out, process.returncode) == wanted
