"""`export`: what `up` runs, as files for a machine that runs it by systemd, with its data.

The stores are those of Debian's packages, or of the compose files. What is written is everything:
settings, keys, the control plane's backup, folders, units; `install.sh` in it puts that in place.
"""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from backendai.common.settings.render import render_toml

from .daemons import command
from .faults import SetupFault
from .places import Layout, write_file
from .storage import VOLUME
from .stores import load_secret

Form = Literal["systemd", "compose"]
Tree = Mapping[str, Any]

ETC: Final = "/etc/backend.ai"
STATE: Final = "/var/lib/backendai"
BACKUP: Final = "cluster.tar.gz"
# The number of `backendai-work` in systemd/backendai.sysusers.conf.
WORK_ID: Final = 2000
KEYS: Final = (
    *("manager.key", "manager.secret", "manager-public-keys", "agent.key"),
    *("relay.secret", "webserver.secret"),
)
ACCOUNTS: Final = ("env-admin.sh", "env-user.sh")
COMPOSED: Final = ("postgres", "redis", "etcd")
_RECIPES: Final = Path(__file__).parent / "recipes"
_LAST_CHARS: Final = 1500


@dataclass(frozen=True)
class Target:
    """Where the daemons find their stores; without a password Redis asks for none."""

    form: Form
    db_password: str
    redis_password: str = ""


def export(
    layout: Layout, form: Form, folder: Path, checkout: Path, say: Callable[[str], None]
) -> None:
    """Fill `folder`, which must be empty or not there. Raises SetupFault, or OSError."""
    if folder.exists() and any(folder.iterdir()):
        raise SetupFault(f"{folder} is not empty", "name a new folder, or empty this one")
    if not (layout.etc / "agent.toml").exists():
        raise SetupFault("there is no cluster here to export", "run `./bai up` first")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    say("the control plane")
    _back_up(layout, folder / BACKUP)
    say("settings and keys")
    target = choose_target(layout, form)
    for name, tree in compose_settings(layout, target).items():
        write_file(folder / "etc" / f"{name}.toml", render_toml(tree))
    for name in KEYS:
        write_file(folder / "etc" / name, (layout.etc / name).read_text())
    for name in ACCOUNTS:
        write_file(folder / "etc" / name, _keep_variables((layout.root / name).read_text()))
    _write_programs(target, folder, checkout)
    say("folders")
    _copy_volume(layout, folder / "volumes" / VOLUME)


def choose_target(layout: Layout, form: Form) -> Target:
    """With the passwords that the stores of this instance have."""
    redis = load_secret(layout, "valkey") if form == "compose" else ""
    return Target(form, load_secret(layout, "postgres"), redis)


def compose_settings(layout: Layout, target: Target) -> dict[str, Tree]:
    """The settings of each daemon as they are, but for where things lie. By name of their file."""
    return {
        name: merge(tomllib.loads((layout.etc / f"{name}.toml").read_text()), changes)
        for name, changes in _list_changes(target).items()
    }


def merge(tree: Tree, changes: Tree) -> Tree:
    """`tree` with `changes` laid over it, table by table. None removes a key. PURE."""
    merged = {**tree, **changes}
    for key, value in changes.items():
        if isinstance(value, Mapping):
            merged[key] = merge(tree.get(key, {}), value)
    return {key: value for key, value in merged.items() if value is not None}


def _list_changes(target: Target) -> dict[str, Tree]:
    relay = {"secret-key-file": f"{ETC}/relay.secret"}
    stores = {
        "etcd": {"addr": _here(2379)},
        "db": {
            **{"addr": _here(5432), "name": "backendai", "user": "backendai"},
            "password": target.db_password,
        },
        "redis": {"addr": _here(6379), "db": 0, "password": target.redis_password or None},
    }
    manager = {
        **{"rpc-keypair": f"{ETC}/manager.key", "secret-key-file": f"{ETC}/manager.secret"},
        **{"config-cache": f"{STATE}/manager/config.json", "pid-file": None},
    }
    storage = {"uid": WORK_ID, "gid": WORK_ID, "pid-file": None}
    web = {"secret-key-file": f"{ETC}/webserver.secret", "pid-file": None}
    return {
        "manager": {**stores, "manager": manager, "relay": relay, **_LOGGING},
        "agent": {"etcd": stores["etcd"], **_AGENT, **_LOGGING},
        "storage-proxy": {
            "storage-proxy": storage,
            "volume": {VOLUME: {"path": f"{STATE}/volumes/{VOLUME}"}},
            **_LOGGING,
        },
        "webserver": {"redis": stores["redis"], "webserver": web, **_LOGGING},
        "wsproxy": {
            **{"db": stores["db"], "relay": relay, "wsproxy": {"pid-file": None}},
            **_LOGGING,
        },
    }


_LOGGING: Final[Tree] = {"logging": {"format": "auto"}}
_AGENT: Final[Tree] = {
    "agent": {
        "rpc-keypair": f"{ETC}/agent.key",
        "manager-public-keys-file": f"{ETC}/manager-public-keys",
        "state-dir": f"{STATE}/agent",
        "bundle-dir": "/var/cache/backendai/bundles",
        "image-dir": f"{STATE}/images",
        "pid-file": None,
    },
    "container": {
        "kernel-uid": WORK_ID,
        "kernel-gid": WORK_ID,
        "scratch-root": f"{STATE}/scratch",
        "docker-host": None,
    },
}


def _here(port: int) -> Tree:
    return {"host": "127.0.0.1", "port": port}


def _back_up(layout: Layout, path: Path) -> None:
    words = command("mgr", "backup", path, "-f", layout.etc / "manager.toml")
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=layout.root)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-_LAST_CHARS:]
        raise SetupFault(
            f"the control plane cannot be backed up: {said}",
            "run `./bai up`, so that the stores run, and export again",
        )


def _keep_variables(text: str) -> str:
    """Without the way to this environment's own programs."""
    return "".join(line for line in text.splitlines(True) if line.startswith("export "))


def _write_programs(target: Target, folder: Path, checkout: Path) -> None:
    for unit in sorted(find_units(checkout).glob("backendai-*.service")):
        write_file(folder / "systemd" / unit.name, unit.read_text(), 0o644)
    stores = (_RECIPES / f"stores-{target.form}.sh").read_text()
    install = (_RECIPES / "install.sh").read_text().replace("@STORES@", stores.rstrip())
    write_file(folder / "install.sh", install, 0o700)
    variables = {
        "POSTGRES_PASSWORD": target.db_password,
        "REDIS_PASSWORD": target.redis_password,
    }
    lines = [f"{name}={value}\n" for name, value in variables.items() if value]
    write_file(folder / ".env", "".join(lines))
    if target.form == "compose":
        _copy_compose(checkout / "halfstack", folder)


def _copy_compose(source: Path, folder: Path) -> None:
    for name in COMPOSED:
        file = f"docker-compose.hs.{name}.yaml"
        write_file(folder / file, (source / file).read_text(), 0o644)
    for program in [source / "find-images.sh", *sorted((source / "stores").iterdir())]:
        mode = 0o755 if program.suffix == ".sh" else 0o644
        write_file(folder / program.relative_to(source), program.read_text(), mode)


def find_units(checkout: Path) -> Path:
    """The units of the source tree, else those that the installed wheels brought."""
    own = checkout / "systemd"
    return own if own.is_dir() else Path(sys.prefix, "lib/systemd/system")


def _copy_volume(layout: Layout, target: Path) -> None:
    """As it is: owners, modes, links and times; `cp` shares blocks where a file system can."""
    source = layout.data / "volumes" / VOLUME
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    cp = shutil.which("cp") or "cp"
    done = subprocess.run(
        [cp, "--archive", "--reflink=auto", "--no-target-directory", str(source), str(target)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SetupFault(
            f"{source} cannot be copied: {done.stderr.strip()[-_LAST_CHARS:]}",
            "free disk space, remove what was exported, and export again",
        )
