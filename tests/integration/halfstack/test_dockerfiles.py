"""Sample images in a real engine: built once, again when a file or the base changes, and failures
are told.
"""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from backendai.halfstack.dockerfiles import Recipe, build_image
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.images import BUSYBOX, find_cache, import_image

TAG = "bai/test-of-recipes:1"


@pytest.fixture
def client(docker_host: str) -> Iterator[docker.APIClient]:
    import_image(BUSYBOX, docker_host, find_cache())
    client = docker.APIClient(base_url=docker_host, timeout=60)
    try:
        yield client
        client.remove_image(TAG, force=True)
    finally:
        client.close()


def make_recipe(folder: Path, *lines: str) -> Recipe:
    text = "\n".join([f"ARG BASE={BUSYBOX.name}", "FROM ${BASE}", *lines, ""])
    (folder / "Dockerfile").write_text(text)
    (folder / "greeting.txt").write_text("hello\n")
    return Recipe("test", TAG, BUSYBOX.name, "", folder)


def test_an_image_is_built_once_until_its_files_change(
    client: docker.APIClient, tmp_path: Path
) -> None:
    said: list[str] = []
    recipe = make_recipe(tmp_path, "COPY greeting.txt /greeting", 'LABEL kind="first"')
    assert build_image(client, recipe, {}, said.append)
    assert said[0].startswith(f"{TAG}: Step 1/")
    assert not build_image(client, recipe, {}, said.append)
    recipe = make_recipe(tmp_path, "COPY greeting.txt /greeting", 'LABEL kind="second"')
    assert build_image(client, recipe, {}, said.append)
    assert client.inspect_image(TAG)["Config"]["Labels"]["kind"] == "second"


def test_a_step_that_fails_is_told_and_the_image_before_it_stays(
    client: docker.APIClient, tmp_path: Path
) -> None:
    assert build_image(client, make_recipe(tmp_path, 'LABEL kind="good"'), {}, lambda _: None)
    broken = make_recipe(tmp_path, 'RUN ["/bin/sh", "-c", "echo no such tool; exit 3"]')
    with pytest.raises(SetupFault, match="no such tool"):
        build_image(client, broken, {}, lambda _: None)
    assert client.inspect_image(TAG)["Config"]["Labels"]["kind"] == "good"
