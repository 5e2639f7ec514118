"""A machine of its own whose first process is systemd: a container made of Debian packages, with a
Docker engine inside, as an operator has it before the first of our wheels is installed."""

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import docker

from backendai.halfstack.images import find_cache
from tests.running.stack import Done
from tests.running.waiting import until

SUITE: Final = "bookworm"
BARE: Final = (
    *("systemd", "systemd-sysv", "dbus", "procps", "iproute2"),
    "python3",
)
# What the pages install anyway, put in ahead: it would take each machine half a minute.
AHEAD: Final = (
    *("python3-venv", "ca-certificates", "openssl"),
    *("docker.io", "iptables", "postgresql", "redis-server", "etcd-server"),
)
LEFT_OUT: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
# Groups of version 1 come read-only; `bind` changes this mount alone, not the machine's.
FIRST: Final = """
mount -o remount,rw /sys
for one in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$one"; then mount -o remount,rw,bind "$one"; fi
done
mount --make-rshared /
exec /lib/systemd/systemd
"""
STATES: Final = ("running", "degraded")
# What a network that signs anew needs, and where packages come from.
PIP: Final = ("PIP_INDEX_URL", "PIP_TRUSTED_HOST", "https_proxy", "http_proxy", "no_proxy")
AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def make_archive(cache: Path) -> Path:
    """The root file system as a tar file, made once for each list of packages."""
    key = hashlib.sha256(" ".join([SUITE, *BARE, *AHEAD, *LEFT_OUT]).encode()).hexdigest()[:12]
    path = cache / "images" / f"machine-{key}.tar"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    options = ["--variant=apt", "--format=tar", f"--include={','.join([*BARE, *AHEAD])}"]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    subprocess.run(["mmdebstrap", *options, SUITE, str(new)], check=True, capture_output=True)
    new.rename(path)
    return path


class Machine:
    """One that runs. Commands are a shell's, by root."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def run(self, script: str, environ: Mapping[str, str] | None = None) -> Done:
        argv = ["/bin/sh", "-euc", script]
        code, (out, err) = self._container.exec_run(argv, demux=True, environment=environ or {})
        return Done(code, (out or b"").decode(), (err or b"").decode())

    def ok(self, script: str, environ: Mapping[str, str] | None = None) -> str:
        """Its standard output. A failure tells what was run."""
        done = self.run(script, environ)
        assert done.code == 0, f"{script}\nexit {done.code}\n{done.both[-4000:]}"
        return done.out

    @property
    def address(self) -> str:
        """Where this machine reaches it."""
        self._container.reload()
        return str(self._container.attrs["NetworkSettings"]["IPAddress"])

    def put(self, source: Path, target: str) -> None:
        """A file or a folder, under the name `target`."""
        pack = io.BytesIO()
        with tarfile.open(fileobj=pack, mode="w") as archive:
            archive.add(source, target.lstrip("/"))
        assert self._container.put_archive("/", pack.getvalue())


@contextmanager
def run_machine(
    docker_host: str, images: Path, shared: Mapping[Path, str] | None = None
) -> Iterator[Machine]:
    """With the archives of `images` at `/images`, and nothing of ours installed. `shared` are
    directories of this machine, and where it has them."""
    archive = make_archive(find_cache())
    client = docker.DockerClient(base_url=docker_host, timeout=600)
    name = f"bai-test-{archive.stem}"
    container = None
    try:
        client.api.import_image_from_file(str(archive), repository=name, tag="1")
        container = _start(client, f"{name}:1", {**(shared or {}), images: "/images:ro"})
        machine = Machine(container)
        if AUTHORITIES.exists():
            machine.put(AUTHORITIES, str(AUTHORITIES))
        until(lambda: machine.run("systemctl is-system-running").out.strip() in STATES, "it booted")
        yield machine
    finally:
        if container is not None:
            container.remove(force=True, v=True)
        client.close()


def _start(client: Any, image: str, shared: Mapping[Path, str]) -> Any:
    rights = client.api.create_host_config(
        # A machine that lacks this one itself cannot give it.
        cap_add=["ALL"],
        cap_drop=["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        device_cgroup_rules=["a *:* rwm"],
        cgroupns="private",
        tmpfs={"/run": "exec", "/run/lock": "", "/tmp": "exec"},
        binds=[f"{source}:{target}" for source, target in shared.items()],
    )
    made = client.api.create_container(
        image,
        ["/bin/sh", "-c", FIRST],
        environment={"container": "docker"},
        # The inner engine's layers cannot lie on layers.
        volumes=["/var/lib/docker"],
        host_config={**rights, "MaskedPaths": [], "ReadonlyPaths": []},
    )
    container = client.containers.get(made["Id"])
    container.start()
    return container


def pip_environ() -> dict[str, str]:
    """For the `pip` of a machine."""
    given = {name: value for name, value in os.environ.items() if name in PIP}
    return given | ({"PIP_CERT": str(AUTHORITIES)} if AUTHORITIES.exists() else {})
