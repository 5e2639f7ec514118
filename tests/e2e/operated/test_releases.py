"""The upgrade page, word for word, there and back, while people work: nothing of theirs is lost."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from backendai.halfstack.dist import build_wheels
from backendai.halfstack.images import PYTHON
from backendai.manager.db.revision import OLDEST, REVISION
from tests.e2e.operated.conftest import end_sessions, follow
from tests.e2e.operated.test_systemd import AS_ADMIN, UNITS
from tests.running.machine import Machine
from tests.running.stack import ROOT
from tests.running.waiting import until

pytestmark = pytest.mark.timeout(1500)

NEXT: Final = f"{int(REVISION) + 1:04}"
SESSIONS: Final = [f"busy-{number:02}" for number in range(20)]
MIGRATION: Final = f'''"""What the next release adds."""

from alembic import op

revision = "{NEXT}"
down_revision = "{REVISION}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE sessions ADD COLUMN of_next_release text")


def downgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE sessions DROP COLUMN of_next_release")
'''


# Where nothing else runs it is a second or two, which a run for acceptance asks for.
STALL_SECONDS_MAX: Final = float(os.environ.get("BAI_TEST_STALL_SECONDS", "45"))
TAKE_BACK: Final = (
    "ALTER TABLE sessions DROP COLUMN of_next_release;"
    f" UPDATE alembic_version SET version_num = '{REVISION}'"
)


# A machine of two processors has room for twenty only of an image that asks for little.
SMALL: Final = "bai/small:1"
SMALL_FILE: Final = f"FROM {PYTHON.name}\\nLABEL ai.backend.resource.min.cpu=0.05\\n"
BEGIN: Final = (
    "xargs -n 1 -P 4 sh -euc '"
    f"backendai session create --image {SMALL} --name $0 -r cpu=0.05 -r mem=128m;"
    "backendai session exec $0 -c x=40'"
)
START_LOAD: Final = """
cd /root
rm -f load.stop
systemd-run --quiet --unit load --property WorkingDirectory=/root \\
  --property StandardOutput=file:/root/load.json $(env | grep -E '^(BACKEND|BAI)_' | sed s/^/-E/) \\
  /opt/backend.ai-1/bin/python load.py"""


@pytest.fixture(scope="module")
def next_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a release after this one: another version, a migration, and agents that tell more."""
    tree, target = tmp_path_factory.mktemp("next"), tmp_path_factory.mktemp("dist-next")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    static = "webserver/backendai/webserver/static"
    for name in filter(None, listed.split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    shutil.copytree(ROOT / static, tree / static, dirs_exist_ok=True)
    for project in tree.rglob("pyproject.toml"):
        project.write_text(project.read_text().replace("0.1.0", "0.2.0"))
    database = tree / "manager/backendai/manager/db"
    edit(
        database / "revision.py",
        f'\nREVISION: Final = "{REVISION}"',
        f'\nREVISION: Final = "{NEXT}"',
    )
    (database / f"migrations/versions/r{NEXT}_next.py").write_text(MIGRATION)
    contracts = tree / "src/common/backendai/common/contracts/agent.py"
    edit(contracts, "    agent_id: str\n", '    agent_id: str\n    of_next: str = "more"\n')
    build_wheels(tree, target)
    return target


@pytest.fixture(scope="module")
def busy(installed: Machine, next_wheels: Path) -> Iterator[Machine]:
    """With twenty sessions in which `x` is 40, and the load of people."""
    installed.put(next_wheels, "/root/dist-next")
    installed.put(Path(__file__).with_name("load.py"), "/root/load.py")
    installed.ok(f"{AS_ADMIN} backendai vfolder create busy")
    installed.ok(f"printf '{SMALL_FILE}' | docker build --quiet --tag {SMALL} -")
    until(lambda: SMALL in installed.run(f"{AS_ADMIN} backendai images").out, "it is known")
    end_sessions(installed)
    installed.ok(f"{AS_ADMIN} echo {' '.join(SESSIONS)} | {BEGIN}")
    yield installed
    # Operators never take tables back, yet the machine is for other tests too.
    installed.ok(f'runuser -u postgres -- psql backendai -c "{TAKE_BACK}"')


def test_an_upgrade_and_the_way_back_lose_nothing(busy: Machine) -> None:
    before = containers_of(busy)
    assert len(before) == len(SESSIONS)
    busy.ok(f"{AS_ADMIN}{START_LOAD} {' '.join(SESSIONS)}")
    for heading in ("Before", "The next release, beside this one", "Tables"):
        follow(busy, f"../upgrade#{heading}")
    shown = busy.ok("cd /etc/backend.ai; runuser -u backendai -- backendai mgr schema show")
    assert f"database: {NEXT}, for releases from {OLDEST} on" in shown
    follow(busy, "../upgrade#Managers")
    assert folders_of(busy) == {"/opt/backend.ai-1", "/opt/backend.ai-2"}
    assert one_more(busy) == "42\n"
    follow(busy, "../upgrade#The other daemons")
    assert folders_of(busy) == {"/opt/backend.ai-2"}
    still_there(busy, before)
    follow(busy, "../upgrade#Back")
    assert folders_of(busy) == {"/opt/backend.ai-1"}
    still_there(busy, before)
    busy.ok("touch /root/load.stop")
    until(lambda: busy.run("systemctl is-active --quiet load").code != 0, "the load has ended")
    tally: dict[str, Any] = json.loads(busy.ok("tail -n 1 /root/load.json"))
    shells = tally.pop("shells")
    print(json.dumps(tally))
    assert tally["failed"] == []
    assert len(tally["asked"]) == 5
    assert all(len(set(seen)) == 1 for seen in shells.values()), shells
    assert max(tally["longest"].values()) <= STALL_SECONDS_MAX


def one_more(machine: Machine) -> str:
    """What a session prints that managers of one release and an agent of the one before begin."""
    begun = f"backendai session create --image {SMALL} --name late -r cpu=0.05 -r mem=128m"
    shown = "backendai session exec late -c 'print(6 * 7)'"
    try:
        return machine.ok(f"{AS_ADMIN} {begun} >&2; {shown}")
    finally:
        machine.ok(f"{AS_ADMIN} backendai session terminate late >&2")


def still_there(machine: Machine, before: set[str]) -> None:
    assert containers_of(machine) == before
    for name in SESSIONS:
        assert machine.ok(f"{AS_ADMIN} backendai session exec {name} -c 'print(x + 2)'") == "42\n"


def containers_of(machine: Machine) -> set[str]:
    return set(machine.ok("docker ps --no-trunc --quiet --filter label=bai.kernel").split())


def folders_of(machine: Machine) -> set[str]:
    """Where what the daemons have loaded comes from."""
    told = machine.ok(
        f"for unit in {' '.join(UNITS)}; do"
        " grep -oh '/opt/backend.ai-[0-9]*'"
        " /proc/$(systemctl show --property MainPID --value backendai-$unit)/maps; done"
    )
    return set(told.split())


def edit(path: Path, old: str, new: str) -> None:
    before, found, after = path.read_text().partition(old)
    assert found, (path, old)
    path.write_text(before + new + after)
