"""What the guide does to settings holds on files that other pages, or joining, have changed."""

import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from backendai.agent.settings import AgentSettings
from backendai.common.settings.load import check_settings
from backendai.manager.settings import ManagerSettings
from tests.e2e.operated.conftest import GUIDE, read_commands

# Nothing is started; `install` gives no file to accounts that this machine has not.
EMPTY: Final = "#!/bin/sh\n"
WORDS: Final = {
    "systemctl": EMPTY,
    "docker-compose": EMPTY,
    "install": '#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\nexec cp "$1" "$2"\n',
}
MANAGER: Final = '[db]\nuser = "x"\n\n[redis]\npassword = "of-redis-itself"\n\n[manager]\n'
KEYS: Final = 'secret-key-file = "manager.secret"\n'
SERVED: Final = 'service-addr = "0.0.0.0:8081"\n'
ETCD: Final = '\n[etcd]\nmore-addrs = ["10.0.0.1:1"]\naddr = "127.0.0.1:2379"\n'
LAST: Final = '\n[logging]\nlevel = "INFO"\n'
MEMBERS: Final = ["127.0.0.1:2379", "127.0.0.1:2479", "127.0.0.1:2579"]
Follow = Callable[[str], None]


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    """Runs the commands below a heading of the page about high availability, on files here."""
    for name, text in WORDS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for name in ("etc/backend.ai", "root/halfstack", "etc/systemd/system", "units"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "units/backendai-manager.service").write_text("ExecStart=x manager.toml\n")
    for name in ("webserver.toml", "wsproxy.toml", "env-admin.sh"):
        (tmp_path / "etc/backend.ai" / name).write_text("")
    (tmp_path / "etc/backend.ai/redis-password").write_text("of-redis-itself\n")

    def run(heading: str) -> None:
        commands = read_commands(f"high-availability#{heading}")[0]
        for place in ("/etc/", "/root/"):
            commands = commands.replace(place, f"{tmp_path}{place}")
        commands = commands.replace("/usr/local/lib/systemd/system/", f"{tmp_path}/units/")
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(["bash", "-ec", commands], check=True, env=environ)

    return run


def write(folder: Path, name: str, *parts: str) -> Path:
    path = folder / "etc/backend.ai" / f"{name}.toml"
    path.write_text("".join(parts))
    return path


def read(path: Path, tree: type[Any]) -> Any:
    return check_settings(tree, tomllib.loads(path.read_text()), path.name)


@pytest.mark.parametrize("etcd", ["", ETCD])
def test_every_member_of_etcd_is_named_once(tmp_path: Path, follow: Follow, etcd: str) -> None:
    manager = write(tmp_path, "manager", MANAGER, KEYS, etcd, LAST)
    agent = write(tmp_path, "agent", '[agent]\nid = "i-one"\n', etcd, LAST)
    follow("Settings")
    for path, tree in ((manager, ManagerSettings), (agent, AgentSettings)):
        settings = read(path, tree)
        assert [str(member) for member in settings.etcd.members] == MEMBERS
        assert settings.logging.level == "INFO"


@pytest.mark.parametrize("served", ["", SERVED])
def test_each_manager_has_an_address_of_its_own(
    tmp_path: Path, follow: Follow, served: str
) -> None:
    own = 'id = "manager-1"\n' + served
    first = write(tmp_path, "manager", MANAGER, own, KEYS, LAST)
    follow("Three managers")
    others = [read(first.with_name(f"manager-{n}.toml"), ManagerSettings).manager for n in (2, 3)]
    found = [(one.id, str(one.service_addr)) for one in others]
    assert found == [("manager-2", "127.0.0.1:8082"), ("manager-3", "127.0.0.1:8083")]
    assert first.read_text() == f"{MANAGER}{own}{KEYS}{LAST}"


def test_what_a_node_has_before_it_joins_are_settings() -> None:
    page = (GUIDE.parent / "nodes.md").read_text()
    found = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    settings = check_settings(AgentSettings, tomllib.loads("".join(found)), "nodes.md")
    assert (settings.container.kernel_uid, settings.container.kernel_gid) == (2000, 2000)
    assert settings.watcher.listen_addr.port == 6009


def test_a_second_promotion_names_the_primary_once(tmp_path: Path, follow: Follow) -> None:
    manager = write(tmp_path, "manager", MANAGER, KEYS)
    write(tmp_path, "wsproxy", '[db]\nuser = "x"\n')
    for _ in range(2):
        follow("The primary of PostgreSQL is gone")
    settings = read(manager, ManagerSettings)
    assert str(settings.db.addr) == "127.0.0.1:5433"
    # Only that of the database.
    assert str(settings.redis.addr) == "127.0.0.1:6379"
