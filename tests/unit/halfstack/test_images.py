"""Recipes and the busybox image: what it holds, and that it is made once."""

import tarfile
from pathlib import Path

import pytest

from backendai.halfstack import images
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.images import (
    ALL,
    BUSYBOX,
    HOST_IMAGE,
    PYTHON,
    make_archive,
    name_first_image,
    unpack_image,
)
from backendai.halfstack.places import Layout


def test_busybox_has_a_shell_and_links(tmp_path: Path) -> None:
    with tarfile.open(make_archive(BUSYBOX, tmp_path)) as archive:
        assert archive.getmember("bin/sh").linkname == "busybox"
        assert archive.getmember("bin/busybox").mode == 0o755
        assert archive.getmember("tmp").mode == 0o1777


def test_an_archive_is_made_once(tmp_path: Path) -> None:
    first = make_archive(BUSYBOX, tmp_path)
    before = first.stat().st_ino
    assert make_archive(BUSYBOX, tmp_path).stat().st_ino == before


def test_an_unpacked_image_is_whole_or_made_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    folder = unpack_image(BUSYBOX, layout, tmp_path)
    assert folder == layout.rootfs / "bai_busybox_latest"
    (layout.rootfs / "bai_busybox_latest.recipe").unlink()
    (folder / "bin" / "sh").unlink()
    assert (unpack_image(BUSYBOX, layout, tmp_path) / "bin" / "sh").is_symlink()


def test_a_failed_unpacking_leaves_no_folder_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "state")
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive")
    monkeypatch.setattr(images, "make_archive", lambda image, cache: broken)
    with pytest.raises(SetupFault, match="unpacked"):
        unpack_image(PYTHON, layout, tmp_path)
    shown = [one for one in layout.rootfs.iterdir() if not one.name.startswith(".")]
    assert shown == []
    assert name_first_image(layout, "process") == HOST_IMAGE


def test_names_differ_and_labels_are_texts() -> None:
    assert len({image.name for image in ALL}) == len(ALL)
    assert all(isinstance(v, str) for image in ALL for v in image.labels.values())


@pytest.mark.parametrize("key", ["runtime-type", "runtime-path", "kernelspec", "resource.min.mem"])
def test_the_python_image_carries_the_labels(key: str) -> None:
    assert PYTHON.labels[f"ai.backend.{key.removeprefix('ai.backend.')}"]
