"""The first admin and the first user: random credentials, first rows, files to source."""

import json
import secrets
import shlex
import string
import sys
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from backendai.common.enums import HostPermission

from .places import Layout, write_file
from .storage import HOST

PROJECT: Final = "default"
_DOMAIN: Final = "default"
_POLICY: Final = "default"
GROUP: Final = "default"
_HOSTS: Final = {HOST: [word.value for word in HostPermission]}
_CAPITALS: Final = string.ascii_uppercase + string.digits
_LETTERS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Account:
    """Secrets of one person; they are in files of mode 0600 only."""

    name: str
    email: str
    role: str
    password: str
    access_key: str
    secret_key: str


def load_accounts(layout: Layout) -> tuple[Account, ...]:
    """The admin and the user, made at first use."""
    path = layout.secrets / "accounts.json"
    if not path.exists():
        made = (_make_account("admin", "superadmin"), _make_account("user", "user"))
        write_file(path, json.dumps([asdict(account) for account in made], indent=1) + "\n")
    return tuple(Account(**row) for row in json.loads(path.read_text()))


def write_environment_files(layout: Layout, endpoint: str, image: str) -> None:
    """`env-admin.sh` and `env-user.sh`: the variables that the clients read."""
    for account in load_accounts(layout):
        variables = {
            "BACKEND_ENDPOINT": endpoint,
            "BACKEND_ENDPOINT_TYPE": "api",
            "BACKEND_ACCESS_KEY": account.access_key,
            "BACKEND_SECRET_KEY": account.secret_key,
            "BAI_LOGIN": account.email,
            "BAI_PASSWORD": account.password,
            "BACKENDAI_IMAGE": image,
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        lines.append(_path_line(Path(sys.prefix) / "bin"))
        write_file(layout.root / f"env-{account.name}.sh", "\n".join(lines) + "\n")


def _path_line(programs: Path) -> str:
    """Puts the `backendai` command on the PATH, once however often the file is read."""
    folder = shlex.quote(str(programs))
    return f'case ":$PATH:" in *:{folder}:*) ;; *) PATH={folder}":$PATH"; export PATH ;; esac'


def compose_fixture(layout: Layout) -> dict[str, list[dict[str, Any]]]:
    """First rows of an empty database: table -> rows, in the form of `mgr fixture populate`."""
    accounts = load_accounts(layout)
    return {
        "keypair_policies": [_keypair_policy()],
        "user_policies": [{"name": _POLICY, "max_vfolder_count": 0}],
        "project_policies": [{"name": _POLICY, "max_vfolder_count": 0}],
        "resource_presets": _presets(),
        "domains": [
            {
                "name": _DOMAIN,
                "description": "The first domain",
                "allowed_vfolder_hosts": _HOSTS,
            }
        ],
        "projects": [_project(layout)],
        "users": [_user(account) for account in accounts],
        "keypairs": [_keypair(account) for account in accounts],
        "resource_groups": [
            {"name": GROUP, "description": "The nodes of this cluster", "domains": [_DOMAIN]}
        ],
    }


def _make_account(name: str, role: str) -> Account:
    return Account(
        name=name,
        email=f"{name}@localhost.localdomain",
        role=role,
        password=_random_word(_LETTERS, 20),
        access_key="AKIA" + _random_word(_CAPITALS, 16),
        secret_key=_random_word(_LETTERS, 40),
    )


def _random_word(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _project(layout: Layout) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"bai:{layout.instance}:{PROJECT}")),
        "name": PROJECT,
        "domain_name": _DOMAIN,
        "resource_policy": _POLICY,
        "allowed_vfolder_hosts": _HOSTS,
    }


def _user(account: Account) -> dict[str, Any]:
    return {
        "email": account.email,
        "username": account.name,
        "full_name": account.name.capitalize(),
        "password": account.password,
        "domain_name": _DOMAIN,
        "role": account.role,
        "resource_policy": _POLICY,
        "main_access_key": account.access_key,
        "projects": [PROJECT],
    }


def _keypair(account: Account) -> dict[str, Any]:
    return {
        "access_key": account.access_key,
        "secret_key": account.secret_key,
        "user": account.email,
        "is_admin": account.role != "user",
        "resource_policy": _POLICY,
        "rate_limit": 30000,
    }


def _keypair_policy() -> dict[str, Any]:
    return {
        "name": _POLICY,
        "default_for_unspecified": "UNLIMITED",
        "max_concurrent_sessions": 100,
        "max_containers_per_session": 16,
        "allowed_vfolder_hosts": _HOSTS,
    }


def _presets() -> list[dict[str, Any]]:
    sizes = {"small": ("1", "1g", "64m"), "medium": ("2", "4g", "256m"), "large": ("4", "8g", "1g")}
    return [
        {
            "name": f"{name}",
            "resource_slots": {"cpu": cpu, "mem": memory},
            "shared_memory": shared,
        }
        for name, (cpu, memory, shared) in sizes.items()
    ]
