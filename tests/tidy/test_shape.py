"""Sizes, names and words of the project's own code."""

import ast
import re
from typing import Final

import pytest

from tests.tidy.tree import ROOT, Module, modules, tracked_files

MODULE_LINES_MAX: Final = 700
FUNCTION_LINES_MAX: Final = 70
REFUSED_NAMES: Final = {"utils", "util", "helpers", "helper", "misc", "base", "v2", "new", "legacy"}
TYPE_IGNORES_MAX: Final = 0

# Each with what to do instead.
REFUSED_TEXT: Final = {
    r"\bimport pickle\b|\bpickle\.loads?\(": "use msgspec",
    r"shell\s*=\s*True": "pass an argument list",
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "do it, or write an issue",
    r"raise NotImplementedError": "finish it or leave it out",
    r"\bprint\(.*breakpoint|\bbreakpoint\(\)": "remove the leftover",
    r"^\s*#\s*[-=*#]{4,}": "no banners",
}
# What programs of others know too, and the one module that has the name of it.
SPELT_ONCE: Final = {
    "AIOHTTP_SESSION": "backendai.common.web_logins",
    "X-BackendAI-SessionID": "backendai.common.web_logins",
    "X-BackendAI-Password-At": "backendai.common.web_logins",
}
TEXT_SUFFIXES: Final = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".sh", ".lock", ".service"}
MACHINE_PATHS: Final = re.compile(
    r"(?<![\w.])/(work/(main|shared|\.library)|process_api|opt/wheels)\b"
)


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_module_is_short_and_says_what_it_decides(module: Module) -> None:
    lines = module.text.count("\n")
    assert lines <= MODULE_LINES_MAX, f"{module.name} has {lines} lines: split it by noun"
    if module.text.strip():
        assert ast.get_docstring(module.tree), f"{module.name} has no docstring"


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_functions_are_short(module: Module) -> None:
    long = {
        node.name: size
        for node in module.functions()
        if (size := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert not long, f"{module.name}: {long}"


def test_half_of_all_functions_are_very_short() -> None:
    sizes = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for module in modules()
        for node in module.functions()
    )
    assert sizes[len(sizes) // 2] <= 10


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_module_names_are_nouns_that_say_something(module: Module) -> None:
    assert not set(module.name.split(".")) & REFUSED_NAMES


@pytest.mark.parametrize("pattern", REFUSED_TEXT, ids=lambda pattern: pattern[:24])
def test_refused_text_is_absent(pattern: str) -> None:
    found = [
        f"{module.path.relative_to(ROOT)}:{number}"
        for module in modules()
        for number, line in enumerate(module.text.splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, f"{REFUSED_TEXT[pattern]}: {found}"


@pytest.mark.parametrize(("text", "place"), SPELT_ONCE.items())
def test_what_others_know_by_name_is_spelt_once(text: str, place: str) -> None:
    assert [module.name for module in modules() if f'"{text}"' in module.text] == [place]


def test_type_ignores_do_not_rise() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_files()
        if path.suffix == ".py" and path != ROOT / "tests/tidy/test_shape.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "type: ignore" in line
    ]
    assert len(found) <= TYPE_IGNORES_MAX, found


def test_statuses_are_written_in_one_place() -> None:
    """Only the function that moves kernels sets `status` of sessions and kernels."""
    writers = re.compile(
        r"(update\(\s*(\w+\.)?(sessions|kernels)\s*\)|(sessions|kernels)\.update\(\))"
        r"[\s\S]{0,400}?\bstatus\s*=",
    )
    found = [
        module.name
        for module in modules()
        if module.name.startswith("backendai.manager.")
        and module.name != "backendai.manager.lifecycle.moves"
        and writers.search(module.text)
    ]
    assert not found, f"move kernels through lifecycle.moves, not in {found}"


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked_files()
        if path.suffix in TEXT_SUFFIXES and path != ROOT / "tests/tidy/test_shape.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert not found, found
