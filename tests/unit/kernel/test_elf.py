"""Telling programs apart by their headers."""

import shutil
import sys
from pathlib import Path

from backendai.kernel import elf


def test_only_elf_files_are_elf(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/bin/sh\n")
    (tmp_path / "link").symlink_to(Path(sys.executable).resolve())
    assert elf.is_elf(Path(sys.executable).resolve())
    assert not elf.is_elf(tmp_path / "text")
    assert not elf.is_elf(tmp_path / "link")
    assert not elf.is_elf(tmp_path)


def test_a_program_with_a_loader_is_not_static(tmp_path: Path) -> None:
    assert not elf.is_static(Path(sys.executable).resolve())
    (tmp_path / "short").write_bytes(elf.MAGIC)
    assert not elf.is_static(tmp_path / "short")


def test_the_libraries_of_a_program_include_its_loader_and_libc() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    found = elf.find_libraries([Path(shell).resolve()])
    assert any(name.startswith("ld-") for name in found)
    assert any(name.startswith("libc.so") for name in found)
    assert all(path.is_file() for path in found.values())
