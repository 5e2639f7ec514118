"""The first and later starts of PostgreSQL in the image that is made of Debian's packages."""

import os
import subprocess
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[3] / "halfstack" / "stores" / "entrypoint.sh"


def start(volume: Path) -> "subprocess.CompletedProcess[str]":
    programs = volume.parent / "bin"
    programs.mkdir()
    (programs / "setpriv").write_text('#!/bin/sh\necho "starts $*"\n')
    (programs / "setpriv").chmod(0o755)
    return subprocess.run(
        ["sh", str(ENTRYPOINT), "postgres"],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "PGDATA": f"{volume}/15/docker"},
        capture_output=True,
        text=True,
        check=False,
    )


def fill(folder: Path, release: str) -> None:
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text(f"{release}\n")


@pytest.mark.parametrize("place", ["18/docker", "data"])
def test_a_volume_of_another_image_is_refused(tmp_path: Path, place: str) -> None:
    fill(tmp_path / "volume" / place, "18")
    done = start(tmp_path / "volume")
    assert done.returncode == 1
    assert f"the data of PostgreSQL 18 in {tmp_path}/volume/{place}" in done.stderr
    assert "POSTGRES_IMAGE" in done.stderr
    assert not (tmp_path / "volume" / "15").exists()


def test_its_own_volume_is_served(tmp_path: Path) -> None:
    fill(tmp_path / "volume" / "15" / "docker", "15")
    fill(tmp_path / "volume" / "15" / "docker" / "base" / "1", "15")
    done = start(tmp_path / "volume")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("starts --reuid postgres")
