"""Each line of the container profile, looked at from inside a kernel."""

import json
import uuid
from pathlib import Path

import pytest

from backendai.common.contracts.agent import KernelRef, KernelState

from .conftest import MIB, Node, end_node, make_spec
from .speaking import execute, say

MEMORY_BYTES = 192 * MIB

PROBE = r"""
import errno, json, os, pwd, resource, socket, sys
def status():
    return dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines())
def refusal(function, *args):
    try:
        function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'allowed'
def reach(host, port):
    s = socket.socket(); s.settimeout(1.5)
    try:
        s.connect((host, port))
    except OSError as error:
        return type(error).__name__ + ':' + errno.errorcode.get(error.errno or 0, '')
    finally:
        s.close()
    return 'reached'
s = status()
mounts = {line.split()[1]: line.split()[3] for line in open('/proc/mounts')}
print(json.dumps({
    'caps': s['CapEff'].strip(), 'bound': s['CapBnd'].strip(), 'nnp': s['NoNewPrivs'].strip(),
    'seccomp': s['Seccomp'].strip(), 'uid': os.getuid(), 'gid': os.getgid(),
    'groups': os.getgroups(), 'name': pwd.getpwuid(os.getuid()).pw_name,
    'home': os.path.expanduser('~'), 'cwd': os.getcwd(), 'host': socket.gethostname(),
    'bundle': bool(os.statvfs('/opt/kernel').f_flag & os.ST_RDONLY),
    'passwd': refusal(open, '/etc/passwd', 'a'),
    'mknod': refusal(os.mknod, '/tmp/device', 0o600 | 0o020000, os.makedev(1, 5)),
    'raw': refusal(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
    'chroot': refusal(os.chroot, '/tmp'),
    'setuid': refusal(os.setuid, 0),
    'sysctl': refusal(open, '/proc/sys/kernel/hostname', 'w'),
    'files': resource.getrlimit(resource.RLIMIT_NOFILE),
    'core': resource.getrlimit(resource.RLIMIT_CORE),
    'socket': os.path.exists('/var/run/docker.sock'),
    'pids': len([p for p in os.listdir('/proc') if p.isdigit()]),
    'tmp': oct(os.stat('/tmp').st_mode & 0o7777), 'tmp_write': refusal(open, '/tmp/probe', 'w'),
    'root_write': refusal(open, '/probe', 'w'),
    'devices': sorted(os.listdir('/dev')),
    'shm': os.statvfs('/dev/shm').f_frsize * os.statvfs('/dev/shm').f_blocks,
    'metadata': reach('169.254.169.254', 80),
    'env': sorted(os.environ),
}))
"""


@pytest.fixture
async def kernel(docker_node: Node, busybox_image: str) -> KernelRef:
    slots = {"cpu": "1", "mem": str(MEMORY_BYTES)}
    return await docker_node.run(make_spec(busybox_image, slots=slots))


async def test_a_kernel_has_no_more_than_it_needs(docker_node: Node, kernel: KernelRef) -> None:
    seen = json.loads(await say(docker_node, kernel, PROBE))
    assert int(seen["caps"], 16) == 0
    assert int(seen["bound"], 16) == 0
    assert seen["nnp"] == "1"
    assert seen["seccomp"] == "2"
    assert (seen["uid"], seen["gid"]) == (1000, 1000)
    assert 0 not in seen["groups"]
    assert seen["name"] == "work"
    assert (seen["home"], seen["cwd"], seen["host"]) == ("/home/work", "/home/work", "main1")
    assert seen["bundle"]
    assert seen["passwd"] in ("EROFS", "EACCES")
    assert seen["mknod"] == seen["raw"] == seen["chroot"] == seen["setuid"] == "EPERM"
    assert seen["sysctl"] in ("EROFS", "EACCES")
    assert seen["core"] == [0, 0]
    assert seen["files"][0] == seen["files"][1] >= 1024
    assert not seen["socket"]
    assert seen["pids"] < 12
    assert seen["tmp"] == "0o1777"
    assert seen["tmp_write"] == "allowed"
    assert seen["root_write"] == "EACCES"
    assert not {"mem", "kmsg", "sda", "vda", "fuse"} & set(seen["devices"])
    assert seen["shm"] == 64 * MIB
    assert seen["metadata"] != "reached"
    assert not [name for name in seen["env"] if "DOCKER" in name]


async def test_the_node_itself_is_out_of_reach(docker_node: Node, kernel: KernelRef) -> None:
    code = (
        "import socket, struct\n"
        "rows = [line.split() for line in open('/proc/net/route')][1:]\n"
        "gates = [row[2] for row in rows if row[1] == '00000000']\n"
        "gate = socket.inet_ntoa(struct.pack('<L', int(gates[0], 16)))\n"
        "s = socket.socket(); s.settimeout(1.5)\n"
        "try:\n"
        f"    s.connect((gate, {docker_node.port})); print('reached')\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    # The agent listens on loopback only, so the answer of an open path would be a refusal.
    assert (await say(docker_node, kernel, code)).strip() == "TimeoutError"


async def test_single_kernels_cannot_see_each_other(
    docker_node: Node, kernel: KernelRef, busybox_image: str
) -> None:
    other = await docker_node.run(make_spec(busybox_image))
    listen = (
        "import socket, threading\n"
        "s = socket.create_server(('0.0.0.0', 7777))\n"
        "threading.Thread(target=s.accept, daemon=True).start()\n"
        "print(socket.gethostbyname(open('/etc/hostname').read().strip()))\n"
    )
    address = (await say(docker_node, other, listen)).strip()
    reach = (
        "import socket\n"
        "s = socket.socket(); s.settimeout(1.5)\n"
        "try:\n"
        f"    s.connect(('{address}', 7777)); print('reached')\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    assert (await say(docker_node, kernel, reach)).strip() != "reached"


async def test_kernels_of_one_session_find_each_other_by_name(
    docker_node: Node, busybox_image: str
) -> None:
    network = uuid.uuid4().hex[:12]
    hosts = ["main1", "sub1"]
    refs = [
        await docker_node.run(
            make_spec(
                busybox_image,
                cluster_size=2,
                cluster_hostname=host,
                cluster_hosts=hosts,
                cluster_network=network,
                cluster_role="main" if host == "main1" else "sub",
            )
        )
        for host in hosts
    ]
    listen = (
        "import socket, threading\n"
        "s = socket.create_server(('0.0.0.0', 7777))\n"
        "threading.Thread(target=s.accept, daemon=True).start()\n"
    )
    await say(docker_node, refs[1], listen)
    reach = "import socket; socket.create_connection(('sub1', 7777), 5); print('reached')"
    assert await say(docker_node, refs[0], reach) == "reached\n"
    for ref in refs:
        await docker_node.remove(ref)


async def test_a_bomb_of_processes_hits_its_limit_and_nobody_else(
    docker_node: Node, busybox_image: str
) -> None:
    spec = make_spec(busybox_image, slots={"cpu": "1", "mem": str(1024 * MIB)})
    ref = await docker_node.run(spec)
    code = (
        "import threading, time\n"
        "threading.stack_size(64 * 1024)\n"
        "made = 0\n"
        "try:\n"
        "    while made < 6000:\n"
        "        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "        made += 1\n"
        "except RuntimeError:\n"
        "    pass\n"
        "print('stopped', 1000 < made < 4096)\n"
    )
    assert (await say(docker_node, ref, code)).strip() == "stopped True"
    assert (await docker_node.observe()).engine_reachable
    await docker_node.remove(ref, grace_seconds=0.0)


async def test_memory_is_bounded_and_swap_with_it(docker_node: Node, busybox_image: str) -> None:
    kernel_id = str(uuid.uuid4())
    command = "/opt/kernel/bin/python3 -c 'x = bytearray(400 * 2**20)'"
    spec = make_spec(
        busybox_image,
        session_type="batch",
        startup_command=command,
        slots={"cpu": "1", "mem": str(MEMORY_BYTES)},
    )
    await docker_node.order(spec, kernel_id)
    report = await docker_node.kernel(kernel_id, KernelState.EXITED)
    assert report.reason == "out-of-memory"


async def test_a_new_kernel_sees_nothing_of_an_old_one(
    docker_node: Node, kernel: KernelRef, busybox_image: str
) -> None:
    await say(docker_node, kernel, "open('secret', 'w').write('x'); open('/tmp/secret', 'w')")
    await docker_node.remove(kernel)
    other = await docker_node.run(make_spec(busybox_image))
    code = "import os; print(os.listdir('/home/work'), os.listdir('/tmp'), os.listdir('/dev/shm'))"
    assert await say(docker_node, other, code) == "[] [] []\n"


async def test_what_the_user_asks_for_does_not_reach_the_runner(
    docker_node: Node, busybox_image: str
) -> None:
    hostile = {
        "LD_PRELOAD": "/nonexistent.so",
        "PYTHONPATH": "/home/work",
        "BACKENDAI_KERNEL_ID": "forged",
        "PATH": "/home/work/bin:/bin",
    }
    ref = await docker_node.run(make_spec(busybox_image, environ=hostile))
    code = "import os; print(os.environ['BACKENDAI_KERNEL_ID'], os.environ['PATH'])"
    result = await execute(docker_node, ref, code)
    printed = "".join(str(text) for _, text in result.console)
    assert f"{ref.kernel_id} /home/work/bin:/bin\n" in printed


async def test_whole_cores_are_pinned_and_told(docker_node: Node, busybox_image: str) -> None:
    spec = make_spec(busybox_image, slots={"cpu": "1", "mem": str(256 * MIB)})
    ref = await docker_node.run(spec)
    report = await docker_node.kernel(ref.kernel_id, KernelState.RUNNING)
    cores = await say(docker_node, ref, "import os; print(sorted(os.sched_getaffinity(0)))")
    assert [int(core) for core in report.devices["cpu"]] == json.loads(cores)


async def test_a_device_is_there_only_for_the_kernel_that_holds_it(
    docker_host: str, tmp_path: Path, image_dir: Path, bundle_dir: Path, busybox_image: str
) -> None:
    node = Node(tmp_path, "docker", docker_host, image_dir, bundle_dir)
    node.options = {"resource": {"devices": {"loop.device": ["/dev/loop-control"]}}}
    node.start()
    slots = {"cpu": "0.5", "mem": str(256 * MIB), "loop.device": "1"}
    holder = await node.run(make_spec(busybox_image, slots=slots))
    other = await node.run(make_spec(busybox_image))
    code = "import os; print(os.path.exists('/dev/loop-control'))"
    assert await say(node, holder, code) == "True\n"
    assert await say(node, other, code) == "False\n"
    late = str(uuid.uuid4())
    await node.order(make_spec(busybox_image, slots=slots), late)
    report = await node.kernel(late, KernelState.FAILED)
    assert report.retriable
    assert "loop.device" in report.detail
    await end_node(node)


async def test_rules_and_networks_leave_with_a_purge(
    docker_host: str, tmp_path: Path, image_dir: Path, bundle_dir: Path, busybox_image: str
) -> None:
    node = Node(tmp_path, "docker", docker_host, image_dir, bundle_dir)
    node.start()
    await node.until(lambda report: report.engine_reachable)
    await node.run(make_spec(busybox_image))
    node.end()
    code, said = await node.command("purge", "-f", str(tmp_path / "agent.toml"))
    assert code == 0, said
    traces = await node.traces()
    assert traces == []
    await end_node(node)
