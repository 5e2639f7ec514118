"""The GUI of a source tree: built once for each state of its sources, by the real npm."""

import json
from pathlib import Path

import pytest

from backendai.halfstack.faults import SetupFault
from backendai.halfstack.gui import SOURCES, TARGET, build_gui, is_built

# Counts its runs, and puts the source into the page.
BUILD = """
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
mkdirSync('%s', { recursive: true })
appendFileSync('%s', 'built\\n')
writeFileSync('%s/index.html', readFileSync('page.txt'))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A source tree whose GUI is one file, and needs nothing from a registry."""
    root = tmp_path / "checkout"
    sources = root / SOURCES
    sources.mkdir(parents=True)
    target = root / TARGET
    facts = {"name": "page", "version": "0.0.0"}
    package = {**facts, "type": "module", "scripts": {"build": "node build.mjs"}}
    lock = {**facts, "lockfileVersion": 3, "packages": {"": facts}}
    (sources / "package.json").write_text(json.dumps(package))
    (sources / "package-lock.json").write_text(json.dumps(lock))
    (sources / "build.mjs").write_text(BUILD % (target, root / "runs.txt", target))
    (sources / "page.txt").write_text("first")
    return root


def runs(checkout: Path) -> int:
    return len((checkout / "runs.txt").read_text().splitlines())


def test_it_is_built_once_until_its_sources_change(checkout: Path, tmp_path: Path) -> None:
    assert not is_built(checkout)
    build_gui(checkout, tmp_path / "cache", lambda _: None)
    assert is_built(checkout)
    (checkout / SOURCES / "page.txt").write_text("second")
    assert not is_built(checkout)
    build_gui(checkout, tmp_path / "cache", lambda _: None)
    assert (checkout / TARGET / "index.html").read_text() == "second"
    (checkout / SOURCES / "page.txt").write_text("first")
    build_gui(checkout, tmp_path / "cache", lambda _: None)
    assert (checkout / TARGET / "index.html").read_text() == "first"
    assert is_built(checkout)
    assert runs(checkout) == 2


def test_a_build_that_fails_says_why_and_leaves_what_was_there(
    checkout: Path, tmp_path: Path
) -> None:
    build_gui(checkout, tmp_path / "cache", lambda _: None)
    (checkout / SOURCES / "build.mjs").write_text("throw new Error('a brace is missing')")
    with pytest.raises(SetupFault, match="a brace is missing"):
        build_gui(checkout, tmp_path / "cache", lambda _: None)
    assert (checkout / TARGET / "index.html").read_text() == "first"
    assert not is_built(checkout)


def test_without_sources_there_is_nothing_to_build(tmp_path: Path) -> None:
    assert is_built(tmp_path)
