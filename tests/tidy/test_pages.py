"""The sources of the GUI: a module knows those below it, and none knows itself by way of others."""

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from tests.tidy.tree import ROOT

SOURCES: Final = ROOT / "webserver/ui/src"
# Also of types alone, and of pages that are loaded when they are opened.
_IMPORT: Final = re.compile(r"""(?:\bfrom\s|\bimport\s?\(?)\s*'(\.[^']*)'""")
_FORMS: Final = ("{}.ts", "{}.tsx", "{}/index.ts")


def list_sources() -> dict[str, Path]:
    """Name without suffix -> file."""
    found = [path for path in SOURCES.rglob("*") if path.suffix in (".ts", ".tsx")]
    return {str(path.relative_to(SOURCES)): path for path in found if ".test." not in path.name}


def list_imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    wanted = [(path.parent / word).resolve() for word in _IMPORT.findall(path.read_text())]
    places = [place.relative_to(SOURCES) for place in wanted if place.is_relative_to(SOURCES)]
    forms = {form.format(place).removeprefix("./") for place in places for form in _FORMS}
    return forms & known.keys()


def test_no_module_of_the_gui_imports_itself_by_way_of_others() -> None:
    known = list_sources()
    graph = {name: list_imports(name, path, known) for name, path in known.items()}
    assert sum(map(len, graph.values())) > 2 * len(graph), "few imports are seen"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None
