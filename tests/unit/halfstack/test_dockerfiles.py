"""Sample images: their order, what is sent to the engine, and what a failed build says."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.halfstack.dockerfiles import (
    Recipe,
    find_recipes,
    follow_build,
    load_recipes,
    order_recipes,
    pack_context,
    read_context,
)
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.images import BASE


def test_every_recipe_has_a_folder_and_leads_to_the_base() -> None:
    recipes = load_recipes(find_recipes())
    tags = {recipe.tag for recipe in recipes.values()} | {BASE.name}
    assert set(recipes) == {"minimal", "gcc", "python", "jupyter"}
    for recipe in recipes.values():
        assert recipe.base in tags
        first = (recipe.folder / "Dockerfile").read_text()
        assert f"ARG BASE={recipe.base}\nFROM ${{BASE}}" in first


def test_what_is_installed_by_pip_is_pinned_by_hashes() -> None:
    for name in ("python", "jupyter"):
        lock = (load_recipes(find_recipes())[name].folder / "requirements.lock").read_text()
        pinned = [line for line in lock.splitlines() if "==" in line]
        assert len(pinned) > 10
        assert lock.count("--hash=sha256:") >= len(pinned)
        assert "://" not in lock


def test_a_base_is_built_before_what_stands_on_it_and_only_once() -> None:
    recipes = load_recipes(find_recipes())
    names = [recipe.name for recipe in order_recipes(recipes, ["jupyter", "gcc", "python"])]
    assert names == ["minimal", "python", "jupyter", "gcc"]


def test_an_unknown_image_is_refused_with_those_there_are() -> None:
    with pytest.raises(SetupFault, match="'jupiter'") as caught:
        order_recipes(load_recipes(find_recipes()), ["jupiter"])
    assert "jupyter" in caught.value.fix


def test_certificates_of_the_site_take_the_place_of_the_empty_file(tmp_path: Path) -> None:
    minimal = load_recipes(find_recipes())["minimal"]
    assert read_context(minimal, None)["certificates.crt"] == b""
    site = tmp_path / "site.crt"
    site.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    assert read_context(minimal, str(site))["certificates.crt"] == site.read_bytes()
    with pytest.raises(SetupFault, match="SSL_CERT_FILE"):
        read_context(minimal, str(tmp_path / "missing.crt"))


def test_the_same_files_make_the_same_archive() -> None:
    files = {"Dockerfile": b"FROM x\n", "a.txt": b"a"}
    packed = pack_context(files)
    assert packed == pack_context(dict(files))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["Dockerfile", "a.txt"]


def test_a_failed_step_is_told_with_its_last_lines(tmp_path: Path) -> None:
    recipe = Recipe("one", "bai/one:1", "bai/base:bookworm", "", tmp_path)
    said: list[str] = []

    def build() -> Iterator[dict[str, str]]:
        yield {"stream": "Step 1/2 : FROM x\n"}
        yield {"stream": "E: Unable to locate package nonesuch\n"}
        yield {"error": "returned a non-zero code: 100"}

    with pytest.raises(SetupFault, match="Unable to locate package nonesuch"):
        follow_build(recipe, build(), said.append)
    assert said == ["bai/one:1: Step 1/2 : FROM x"]
