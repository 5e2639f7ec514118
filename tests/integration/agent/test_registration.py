"""Where an agent listens is told in etcd, and etcd being away stops nothing."""

import asyncio
import signal
import uuid
from pathlib import Path

import msgspec

from backendai.agent.registration import AgentNotice
from backendai.common.etcd import EtcdStore
from backendai.common.settings.checks import HostPort
from backendai.common.settings.load import check_settings
from backendai.common.settings.sections import EtcdSettings

from .conftest import Node, end_node


async def test_an_agent_is_found_in_etcd_and_leaves_with_its_lease(
    etcd_addr: str, tmp_path: Path, image_dir: Path, bundle_dir: Path
) -> None:
    node = Node(tmp_path, "process", "unix:///nowhere", image_dir, bundle_dir, etcd=etcd_addr)
    node.start()
    report = await node.until(lambda report: report.engine_reachable)
    host, _, port = etcd_addr.rpartition(":")
    settings = check_settings(
        EtcdSettings,
        {"namespace": node.agent_id, "addr": {"host": host, "port": int(port)}},
        "test",
    )
    assert settings.addr == HostPort(host, int(port))
    async with EtcdStore(settings) as store, asyncio.timeout(60):
        key = f"nodes/agents/{node.agent_id}"
        while (text := await store.get(key)) is None:  # noqa: ASYNC110 - a look, not a watch
            await asyncio.sleep(0.05)
    notice = msgspec.json.decode(text, type=AgentNotice)
    assert notice.addr == f"tcp://127.0.0.1:{node.port}"
    assert notice.public_key == node.keys.public
    assert notice.instance == report.instance
    await end_node(node)


async def test_two_agents_do_not_share_kernels(
    tmp_path: Path, image_dir: Path, bundle_dir: Path
) -> None:
    nodes = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        node = Node(folder, "process", "unix:///nowhere", image_dir, bundle_dir)
        node.start()
        nodes.append(node)
    for node in nodes:
        await node.until(lambda report: report.engine_reachable)
    await nodes[0].order(None, str(uuid.uuid4()))
    assert (await nodes[1].observe()).kernels == []
    for node in nodes:
        assert await asyncio.to_thread(node.end, signal.SIGTERM) == 0
        await end_node(node)


async def test_bad_settings_are_one_clear_message(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('[agent]\nmode = "podman"\nrpc-listen-addr = 3\n')
    node = Node(tmp_path, "process", "", tmp_path, tmp_path)
    code, said = await node.command("start-server", "-f", str(config))
    assert code == 1
    assert "agent.mode" in said
    assert "agent.rpc-listen-addr" in said
    assert "Traceback" not in said


async def test_a_port_already_taken_is_one_clear_message(
    tmp_path: Path, image_dir: Path, bundle_dir: Path
) -> None:
    node = Node(tmp_path, "process", "unix:///nowhere", image_dir, bundle_dir)
    node.start()
    await node.until(lambda report: report.engine_reachable)
    code, said = await node.command("start-server", "-f", str(tmp_path / "agent.toml"))
    assert code == 1
    assert str(node.port) in said.splitlines()[-1]
    assert "Traceback" not in said
    await end_node(node)
