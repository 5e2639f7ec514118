"""Builds the bundle: the runner with an interpreter and libraries of its own, for images that have
neither.

Layout, mounted read-only at /opt/kernel (every program in it has that path built in):

    entry                      starts the runner; passes its arguments on
    bundle.json                digest, Python version, architecture
    bin/python3, bin/busybox   the interpreter; a static shell where this machine has one
    lib/*.so*                  the loader and every library that the interpreter's modules need
    lib/pythonX.Y/             the standard library, compiled, without tests and toolkits
    lib/runner-site/           start.py, backendai/kernel (wire, runner, apps), and the packages
                               that they import
"""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backendai.kernel import elf
from backendai.kernel.page import VENDORED, PageError, bring_page

PREFIX = "/opt/kernel"
SOURCE = Path(__file__).parent
PYTHON_NAME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
BUILDING = ".building-"
FACTS = "bundle.json"
LEFT_OUT = frozenset(
    (
        *("test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "ensurepip", "lib2to3"),
        *("site-packages", "dist-packages", "__pycache__", "pydoc_data", "__phello__"),
        *("distutils", "LICENSE.txt"),
    )
)
LEFT_OUT_STARTS = ("config-", "_test", "_ctypes_test", "_xx", "xx", "_tkinter", "EXTERNALLY")
LEFT_OUT_ENDS = (".a", ".pyc", ".pyi", ".pyx", ".c", ".h", ".exe")
ENTRY_BY_SHELL = f"""#!{PREFIX}/bin/busybox sh
USER_LD_PRELOAD="$LD_PRELOAD"
unset LD_PRELOAD
export USER_LD_PRELOAD
exec {PREFIX}/bin/python3 -I -S -X utf8 {PREFIX}/lib/runner-site/start.py "$@"
"""
# What is copied beside our source: for the runner, then for the apps (and what those need).
PACKAGES = (
    *("msgspec", "aiohttp", "aiohappyeyeballs", "aiosignal", "attrs", "frozenlist", "idna"),
    *("multidict", "propcache", "yarl", "typing_extensions", "asyncssh", "cryptography", "cffi"),
)
STEP_SECONDS_MAX = 300.0
SMOKE_TEST = """
import sys; sys.modules["ssl"] = None; sys.path.append(sys.argv[1])
import asyncio, ctypes, msgspec, tarfile, aiohttp.web, asyncssh
asyncssh.generate_private_key("ssh-ed25519")
"""


class BundleError(Exception):
    """The bundle cannot be built on this machine; the message says why and what to do."""


@dataclass(frozen=True)
class Bundle:
    """A complete bundle: a folder to mount read-only at PREFIX."""

    path: Path
    digest: str
    python_version: str


def build_bundle(cache_dir: Path, *, progress: Callable[[str], None] | None = None) -> Bundle:
    """The bundle of the running interpreter and this source, from the cache when it was built
    before.

    Safe to call from several processes at once. Raises BundleError; what was half built is removed.
    """
    say = progress or (lambda line: None)
    bundle = describe_bundle(cache_dir)
    if is_whole(bundle.path):
        return bundle
    cache_dir.mkdir(parents=True, exist_ok=True)
    with hold_lock(cache_dir / ".lock"):
        try_page(say)
        bundle = describe_bundle(cache_dir)
        if is_whole(bundle.path):
            return bundle
        for old in (bundle.path, *cache_dir.glob(BUILDING + "*")):
            shutil.rmtree(old, ignore_errors=True)
        started = time.monotonic()
        build_at(cache_dir / f"{BUILDING}{bundle.digest}", bundle, say)
        say(f"runner bundle built in {time.monotonic() - started:.1f} s")
    return bundle


def describe_bundle(cache_dir: Path) -> Bundle:
    """The bundle that fits now, whether it is there or not."""
    digest = compute_digest()
    return Bundle(cache_dir / digest, digest, platform.python_version())


def try_page(say: Callable[[str], None]) -> None:
    """Without it all but one page works, and that says what is missing."""
    try:
        bring_page()
    except PageError as error:
        say(f"the web terminal will have no page: {error}")


def is_whole(place: Path) -> bool:
    """That a folder is there proves nothing after a power loss; its facts are written last."""
    return (place / FACTS).is_file()


def compute_digest() -> str:
    """Of all that the bundle is made from: interpreter, dependencies, source, architecture."""
    digest = hashlib.sha256()
    facts = [sys.version, platform.machine(), *map(importlib.metadata.version, PACKAGES)]
    digest.update("\n".join(facts).encode())
    busybox = find_static_busybox()
    files = [find_interpreter(), *([busybox] if busybox else [])]
    files += [SOURCE / "wire.py", SOURCE / "bundle.py", SOURCE / "elf.py"]
    for path in [*files, *list_sources()]:
        digest.update(f"\n{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def list_sources() -> list[Path]:
    """Of the runner and of the apps, in a fixed order."""
    apps = SOURCE / "apps"
    folders = (SOURCE / "runner", apps, apps / "page", VENDORED)
    return sorted(path for folder in folders for path in folder.glob("[!.]*.*"))


def build_at(place: Path, bundle: Bundle, say: Callable[[str], None]) -> None:
    """Build in `place` and move it to the bundle's path as the last step."""
    try:
        say("copying the interpreter and the standard library")
        copy_interpreter(place)
        copy_site(place / "lib" / "runner-site")
        say("collecting libraries")
        link_libraries(place)
        write_entry(place)
        say("compiling")
        compile_sources(place)
        write_facts(place, bundle)
        elf.make_readable(place)
        check(place)
        place.rename(bundle.path)
    except (elf.ElfError, OSError, shutil.Error, subprocess.TimeoutExpired) as error:
        raise BundleError(f"the runner bundle cannot be built: {error}") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def find_interpreter() -> Path:
    """The program behind the running interpreter, also when that is in a virtual environment."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


def find_static_busybox() -> Path | None:
    found = shutil.which("busybox", path=f"{os.environ.get('PATH', '')}:/bin:/usr/bin")
    return Path(found) if found and elf.is_static(Path(found)) else None


def copy_interpreter(place: Path) -> None:
    (place / "bin").mkdir(parents=True)
    shutil.copy2(find_interpreter(), place / "bin" / "python3")
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, place / "lib" / PYTHON_NAME, ignore=list_left_out)
    modules = place / "lib" / PYTHON_NAME / "lib-dynload"
    if not modules.exists():
        shutil.copytree(sysconfig.get_config_var("DESTSHARED"), modules, ignore=list_left_out)


def copy_site(site: Path) -> None:
    """The installed packages and our source: no network, no installer."""
    for name in PACKAGES:
        copy_package(name, site)
    kernel = site / "backendai" / "kernel"
    for folder in ("runner", "apps"):
        shutil.copytree(SOURCE / folder, kernel / folder, ignore=list_left_out)
    shutil.copy2(SOURCE / "wire.py", kernel / "wire.py")
    shutil.move(kernel / "runner" / "start.py", site / "start.py")


def copy_package(name: str, site: Path) -> None:
    """The modules of an installed distribution, without its metadata and programs."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise BundleError(f"{name} is missing: install the Python package `{name}`") from None
    for file in found.files or []:
        top = file.parts[0]
        if top == ".." or top.endswith((".dist-info", ".pth")) or is_left_out(file.parts):
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(str(found.locate_file(file))), target)


def link_libraries(place: Path) -> None:
    files = [path for path in place.rglob("*") if elf.is_elf(path)]
    libraries = elf.find_libraries(files)
    loader = next((name for name in libraries if name.startswith("ld-")), None)
    if loader is None:
        raise BundleError(f"no loader found for {find_interpreter()}: is it a static program?")
    copies = []
    for name, source in libraries.items():
        copies.append(Path(shutil.copy2(source, place / "lib" / name)))
    program = place / "bin" / "python3"
    own = [path for path in files if path != program] + copies
    elf.strip([program, *(path for path in own if not path.name.startswith(elf.LIBC_PARTS))])
    elf.patch(program, own, f"{PREFIX}/lib/{loader}", f"{PREFIX}/lib")


def write_entry(place: Path) -> None:
    """Through busybox the image's LD_PRELOAD is kept from the interpreter; else it is not."""
    busybox = find_static_busybox()
    if busybox is not None:
        shutil.copy2(busybox, place / "bin" / "busybox")
        text = ENTRY_BY_SHELL
    else:
        start = (place / "lib" / "runner-site" / "start.py").read_text()
        text = f"#!{PREFIX}/bin/python3 -IS\n" + start.replace(
            '__file__.rpartition("/")[0]', f'"{PREFIX}/lib/runner-site"'
        )
    entry = place / "entry"
    entry.write_text(text)
    entry.chmod(0o755)


def compile_sources(place: Path) -> None:
    """Unchecked: the bundle is read-only, so what was compiled here is what runs."""
    result = subprocess.run(
        [
            *(sys.executable, "-I", "-m", "compileall", "-q", "-j0", "-r20"),
            *("--invalidation-mode", "unchecked-hash", "-s", str(place), "-p", PREFIX),
            str(place / "lib"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_SECONDS_MAX,
    )
    if result.returncode != 0:
        raise BundleError(f"some modules do not compile: {result.stdout.strip()[-500:]}")


def write_facts(place: Path, bundle: Bundle) -> None:
    facts = {
        "digest": bundle.digest,
        "python_version": bundle.python_version,
        "architecture": platform.machine(),
    }
    (place / FACTS).write_text(json.dumps(facts) + "\n")


def check(place: Path) -> None:
    """Start the interpreter by its own loader and libraries, and import what the runner needs."""
    loader = next((place / "lib").glob("ld-*"))
    program = [str(loader), "--library-path", str(place / "lib"), str(place / "bin" / "python3")]
    result = subprocess.run(
        [*program, "-I", "-S", "-c", SMOKE_TEST, str(place / "lib" / "runner-site")],
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_SECONDS_MAX,
    )
    if result.returncode != 0:
        raise BundleError(f"the built interpreter does not work: {result.stderr.strip()[-500:]}")


def list_left_out(folder: str, names: list[str]) -> list[str]:
    """What `shutil.copytree` should pass over."""
    return [
        name for name in names if is_left_out([name]) or not os.access(Path(folder) / name, os.R_OK)
    ]


def is_left_out(names: Iterable[str]) -> bool:
    """Whether one of the folders of a path, or the file, is of no use in a bundle."""
    return any(
        name in LEFT_OUT or name.startswith(LEFT_OUT_STARTS) or name.endswith(LEFT_OUT_ENDS)
        for name in names
    )
