"""Images for a machine without a registry: root file systems made on the spot, then cached.

A cached archive is keyed by its recipe, so that a second checkout imports it in seconds.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .engine import remove_tree
from .faults import SetupFault
from .places import Layout, replaced_file, write_file

RECIPES = Path(__file__).parent / "recipes"
_SUITE = "bookworm"
_END_SECONDS = 10.0
# Marks an image that was made here.
RECIPE_LABEL = "ai.backendai.recipe"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_COMMON_LABELS = {
    "ai.backend.kernelspec": "1",
    "ai.backend.resource.min.cpu": "1",
    "ai.backend.resource.min.mem": "64m",
    "ai.backend.envs.corecount": "OMP_NUM_THREADS,OPENBLAS_NUM_THREADS",
    "ai.backend.role": "COMPUTE",
}


@dataclass(frozen=True)
class Image:
    """One image: `archive` names the cached root file system it is imported from."""

    name: str
    archive: str
    labels: dict[str, str] = field(default_factory=dict)
    command: str = "/bin/sh"

    @property
    def folder(self) -> str:
        """The name as one path component, for unpacked root file systems."""
        return self.name.replace("/", "_").replace(":", "_")


# What the process backend calls the machine's own file system.
HOST_IMAGE = "host"

BUSYBOX = Image("bai/busybox:latest", "busybox")
BASE = Image(
    "bai/base:bookworm",
    "base",
    {
        **_COMMON_LABELS,
        "ai.backend.base-distro": "debian12",
        "ai.backend.runtime-type": "app",
        "ai.backend.runtime-path": "/bin/true",
    },
    "/bin/bash",
)
PYTHON = Image(
    "bai/python:3.11",
    "python",
    {
        **_COMMON_LABELS,
        "ai.backend.base-distro": "debian12",
        "ai.backend.runtime-type": "python",
        "ai.backend.runtime-path": "/usr/bin/python3",
    },
    "/usr/bin/python3",
)
ALL = (BUSYBOX, BASE, PYTHON)


def find_cache() -> Path:
    if named := os.environ.get("BAI_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backendai"


def bring_images(
    layout: Layout,
    backend: str,
    docker_host: str,
    pulled: Mapping[str, str | None],
    say: Callable[[str], None],
) -> None:
    """Every image to where the backend finds it; `pulled` names some by name of ours."""
    for image in ALL:
        is_made = archive_of(image, find_cache()).exists()
        say(image.name if is_made else f"{image.name}, made from Debian packages: a minute or so")
        reference = pulled.get(image.name)
        if backend == "process":
            _unpack(image, layout, say)
        elif reference:
            pull_image(reference, image, docker_host)
        else:
            import_image(image, docker_host, find_cache())


def _unpack(image: Image, layout: Layout, say: Callable[[str], None]) -> None:
    try:
        unpack_image(image, layout, find_cache())
    except SetupFault as fault:
        # The sandbox then shows the machine's own /usr, which is enough to run code.
        say(f"{image.name} is left out: {fault.problem}")


def archive_of(image: Image, cache: Path) -> Path:
    """Where the root file system of an image is, once it was made."""
    return cache / "images" / f"{image.archive}-{_key(image.archive)}.tar"


def make_archive(image: Image, cache: Path) -> Path:
    """The image's root file system as a tar file, made unless it is cached."""
    path = archive_of(image, cache)
    if path.exists():
        return path
    with _locked(cache):
        if not path.exists():
            _MAKERS[image.archive](cache)
    return path


def import_image(image: Image, docker_host: str, cache: Path) -> str:
    """Make the image known to the engine unless it is. Returns its id."""
    import docker

    with _connect(docker_host) as client:
        with suppress(docker.errors.ImageNotFound):
            known = client.api.inspect_image(image.name)
            if (known["Config"]["Labels"] or {}).get(RECIPE_LABEL) == _recipe(image):
                return str(known["Id"])
        return _import(client.api, image, make_archive(image, cache))


def pull_image(reference: str, image: Image, docker_host: str) -> str:
    """Pull from the configured registry and give it our name. Raises SetupFault."""
    import docker

    with _connect(docker_host) as client:
        try:
            pulled = client.images.pull(reference)
            pulled.tag(image.name)
        except docker.errors.APIError as error:
            raise SetupFault(
                f"cannot pull {reference}: {error.explanation or error}",
                "check `[images]` in bai.toml, or remove it to have images made here",
            ) from error
    return str(pulled.id)


@contextmanager
def _connect(docker_host: str) -> Iterator[Any]:
    import docker

    try:
        client = docker.DockerClient(base_url=docker_host, timeout=300)
    except docker.errors.DockerException as error:
        raise SetupFault(
            f"the Docker daemon at {docker_host} does not answer: {error}",
            "start it, then run `./bai up` again",
        ) from error
    try:
        yield client
    finally:
        client.close()


def unpack_image(image: Image, layout: Layout, cache: Path) -> Path:
    """The root file system as a folder, for the process backend. Never half there."""
    folder, mark = layout.rootfs / image.folder, _mark_of(layout, image)
    if mark.exists() and mark.read_text() == _recipe(image):
        return folder
    archive = make_archive(image, cache)
    mark.unlink(missing_ok=True)
    # The agent lists folders, but for those whose name begins with a dot.
    fresh = layout.rootfs / f".{image.folder}"
    for place in (fresh, folder):
        shutil.rmtree(place, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        _extract(archive, fresh)
        facts = {"name": image.name, "labels": image.labels, "environ": {"PATH": _PATH}}
        (fresh / ".image.json").write_text(json.dumps(facts))
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    write_file(mark, _recipe(image))
    return folder


def _mark_of(layout: Layout, image: Image) -> Path:
    return layout.rootfs / f"{image.folder}.recipe"


def _extract(archive: Path, folder: Path) -> None:
    argv = ["tar", "--extract", "--exclude=./dev/*", f"--file={archive}", f"--directory={folder}"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SetupFault(
            f"{archive} cannot be unpacked: {done.stderr.strip()[-300:]}",
            f"free disk space, or delete {archive}",
        )


def name_first_image(layout: Layout, backend: str) -> str:
    """What sessions run in by default: Python's image where there is one."""
    if backend == "docker" or _mark_of(layout, PYTHON).exists():
        return PYTHON.name
    return HOST_IMAGE


def _import(client: Any, image: Image, archive: Path) -> str:
    repository, _, tag = image.name.rpartition(":")
    labels = {**image.labels, RECIPE_LABEL: _recipe(image)}
    changes = [f'LABEL "{key}"="{value}"' for key, value in labels.items()]
    changes += [f'CMD ["{image.command}"]', f"ENV PATH={_PATH}"]
    answer = client.import_image_from_file(
        str(archive), repository=repository, tag=tag, changes=changes
    )
    said = json.loads(answer.strip().splitlines()[-1])
    if "error" in said:
        raise SetupFault(
            f"cannot import {image.name}: {said['error']}", f"free disk space, or delete {archive}"
        )
    return str(said["status"])


def _recipe(image: Image) -> str:
    parts = [image.name, _key(image.archive), image.labels, image.command]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _key(archive: str) -> str:
    """Changes with what the archive is made of."""
    if archive == "busybox":
        stat = _find_busybox().stat()
        return hashlib.sha256(f"2 {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]
    texts = [(RECIPES / name).read_bytes() for name in ("debian.sh", "slim.conf")]
    machine = os.uname().machine.encode()
    return hashlib.sha256(b"\0".join([_SUITE.encode(), machine, *texts])).hexdigest()[:12]


def _make_busybox(cache: Path) -> None:
    binary = _find_busybox()
    applets = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True)
    path = cache / "images" / f"busybox-{_key('busybox')}.tar"
    with replaced_file(path, 0o644) as new, tarfile.open(new, "w") as archive:
        for folder in ("bin", "etc", "home", "proc", "root", "sys", "dev", "tmp", "var"):
            archive.addfile(
                _describe(folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755)
            )
        for name, text in _ACCOUNTS.items():
            entry = _describe(f"etc/{name}", tarfile.REGTYPE, 0o644)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        archive.add(binary, "bin/busybox", filter=_own_by_root)
        for applet in sorted(set(applets.stdout.split()) - {"busybox"}):
            entry = _describe(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            entry.linkname = "busybox"
            archive.addfile(entry)


_ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
}


def _make_debian(cache: Path) -> None:
    """One run of mmdebstrap gives both archives: the base is set aside before Python."""
    if shutil.which("mmdebstrap") is None:
        raise SetupFault(
            "mmdebstrap is not installed, and images are made with it",
            "run `./bai doctor` as root, or name images to pull in bai.toml",
        )
    images = cache / "images"
    base, python = (images / f"{name}-{_key(name)}.tar" for name in ("base", "python"))
    with replaced_file(base, 0o644) as new_base, replaced_file(python, 0o644) as new_python:
        new_python.unlink()
        script = RECIPES / "debian.sh"
        argv = ["/bin/sh", str(script), _SUITE, str(new_base), str(new_python)]
        log = cache / "images" / "mmdebstrap.log"
        if _run_mmdebstrap(argv, log) != 0:
            raise _explain_failure(log)


def _run_mmdebstrap(argv: list[str], log: Path) -> int:
    """Its exit code. Interrupted, it gets the time to unmount what it mounted."""
    work = Path(tempfile.mkdtemp(prefix="bai-image-"))
    work.chmod(0o755)
    environ = {**os.environ, "TMPDIR": str(work)}
    try:
        with log.open("wb") as out:
            program = subprocess.Popen(argv, stdout=out, stderr=out, env=environ)
        try:
            return program.wait()
        finally:
            _end(program)
    finally:
        with suppress(OSError):
            remove_tree(work)


def _end(program: subprocess.Popen[bytes]) -> None:
    if program.poll() is not None:
        return
    program.terminate()
    try:
        program.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _explain_failure(log: Path) -> SetupFault:
    last = log.read_text(errors="replace").strip().splitlines()[-6:]
    fix = f"read {log}; the mirror of Debian has to be reachable"
    if any("No space left" in line for line in last):
        fix = "free some disk space and run `./bai up` again"
    return SetupFault("mmdebstrap could not make an image: " + " | ".join(last), fix)


_MAKERS: dict[str, Callable[[Path], None]] = {
    "busybox": _make_busybox,
    "base": _make_debian,
    "python": _make_debian,
}


def _find_busybox() -> Path:
    for name in ("/usr/bin/busybox", "/bin/busybox", shutil.which("busybox") or ""):
        if name and Path(name).exists():
            return Path(name)
    raise SetupFault("busybox-static is not installed", "run `./bai doctor` as root")


def _describe(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _own_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755
    return entry


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Two checkouts that need the same image wait for each other instead of making it twice."""
    (cache / "images").mkdir(parents=True, exist_ok=True)
    with (cache / "images" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
