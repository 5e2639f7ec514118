"""Running the project's own tests and checks, several parts at a time, with one summary."""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .faults import SetupFault
from .images import find_cache
from .lanes import Lanes, Program

KINDS = ("tidy", "unit", "contract", "sim", "integration", "conformance", "e2e", "hosts")
SMOKE_VERSION = "3.13"
# These wait for real processes with a limit, which a crowded machine may exceed; a failure that
# does not come back is told as unsteady, and is a defect of the test or of the system all the same.
TIMED_KINDS = ("integration", "conformance", "e2e", "hosts")
# Each folder in a process of its own: what breaks in one takes no other with it.
SPLIT_KINDS = ("integration",)
# The others come after these in the order of the kinds, so that all lanes end at about one time.
LONGEST_FIRST = (
    "sim",
    "e2e",
    "hosts",
    "integration/agent",
    "integration/manager",
    "conformance",
    "integration/halfstack",
    "unit",
)
# With more of them the longest part would end no earlier.
LANES_MAX = 4
# Nothing but computing, in as many processes as there are cores.
PATIENT_KINDS = ("sim",)
_SOME_FAILED = 1
_NO_TESTS = 5
_NOT_RUN = -1


@dataclass(frozen=True)
class Outcome:
    """One part of the tests, or one check. `counts` is empty when there was nothing to count."""

    name: str
    is_ok: bool
    seconds: float
    counts: str = ""


@dataclass(frozen=True)
class Part:
    """What one pytest runs: a folder below `tests`, by another interpreter when one is named."""

    name: str
    folder: str
    python: Path | None = None

    @property
    def kind(self) -> str:
        return self.folder.partition("/")[0]


@dataclass(frozen=True)
class _Run:
    """The first run of a part."""

    code: int
    seconds: float
    counts: str
    is_whole: bool


def run_tests(
    root: Path, kinds: Sequence[str], extra: Sequence[str], lanes: int, say: Callable[[str], None]
) -> list[Outcome]:
    """Kinds as `run_kinds`, and the unit tests on the newest supported Python."""
    parts = list_parts(root, kinds)
    if "unit" in kinds and not extra:
        parts += _list_smoke(say)
    return _run_parts(root, parts, extra, lanes)


def run_kinds(
    root: Path, kinds: Sequence[str], extra: Sequence[str], lanes: int = 1
) -> list[Outcome]:
    """Told in the order of the kinds, whatever the order in which their parts ended."""
    return _run_parts(root, list_parts(root, kinds), extra, lanes)


def count_lanes() -> int:
    return min(len(os.sched_getaffinity(0)), LANES_MAX)


def list_parts(root: Path, kinds: Sequence[str]) -> list[Part]:
    """The folders below `tests` that each have a process of their own."""
    return [Part(name, name) for kind in kinds for name in _list_folders(root, kind)]


def _list_folders(root: Path, kind: str) -> list[str]:
    if kind not in SPLIT_KINDS:
        return [kind]
    folder = root / "tests" / kind
    names = {path.relative_to(folder).parts[0] for path in folder.glob("*/**/test_*.py")}
    return [f"{kind}/{name}" for name in sorted(names)] or [kind]


def _list_smoke(say: Callable[[str], None]) -> list[Part]:
    """None when this machine has no such interpreter."""
    found = find_python(SMOKE_VERSION)
    if found is None:
        say(f"no Python {SMOKE_VERSION} on this machine: its smoke test is left out")
        return []
    return [Part(f"unit on {SMOKE_VERSION}", "unit", found)]


def choose_kinds(asked: Sequence[str]) -> list[str]:
    """In the order of cost. Raises SetupFault for a word that is no kind."""
    unknown = sorted(set(asked) - {*KINDS, "all"})
    if unknown:
        raise SetupFault(
            f"{', '.join(unknown)} is no kind of tests", f"choose from: {', '.join(KINDS)}, all"
        )
    return [kind for kind in KINDS if not asked or "all" in asked or kind in asked]


def find_python(version: str) -> Path | None:
    """An interpreter of that version that really runs: a version manager's shim may not."""
    managed = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [Path(part) for part in os.get_exec_path()]
    folders += sorted(managed.glob(f"{version}.*/bin"), reverse=True)
    candidates = [folder / f"python{version}" for folder in folders]
    return next((path for path in candidates if path.is_file() and _runs(path)), None)


def _runs(python: Path) -> bool:
    try:
        done = subprocess.run([python, "-c", "import ssl"], check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def run_checks(root: Path) -> list[Outcome]:
    """Format, lint, types, then the quick tests."""
    packages = [word for name in list_packages(root) for word in ("-p", name)]
    commands = {
        "format": [_tool("ruff"), "format", "--check", "."],
        "lint": [_tool("ruff"), "check", "."],
        "types": [_tool("mypy"), *packages],
    }
    outcomes = [_run_command(root, name, argv) for name, argv in commands.items()]
    return [*outcomes, *run_kinds(root, ("unit", "tidy"), ["-q"], count_lanes())]


def list_packages(root: Path) -> list[str]:
    """Import names of every distribution: `mypy -p backendai` alone would see only a part."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    folders = project["tool"]["uv"]["workspace"]["members"]
    return [
        f"backendai.{package.name}"
        for folder in folders
        for package in sorted((root / folder / "backendai").iterdir())
        if package.is_dir() and package.name != "__pycache__"
    ]


def render_summary(outcomes: Sequence[Outcome]) -> str:
    lines = [
        f" {'✓' if one.is_ok else '✗'} {one.name:<14}{one.seconds:7.1f} s  {one.counts}"
        for one in outcomes
    ]
    return "\n".join(["", "summary", *lines])


def _run_parts(
    root: Path, parts: Sequence[Part], extra: Sequence[str], count: int
) -> list[Outcome]:
    lanes = min(count, len(parts))
    runs = asyncio.run(_run_all(root, parts, extra, lanes))
    # Alone, now that everything else has ended.
    return [_judge(root, part, runs[part], extra) for part in parts]


async def _run_all(
    root: Path, parts: Sequence[Part], extra: Sequence[str], count: int
) -> dict[Part, _Run]:
    lanes = Lanes(count)
    async with asyncio.TaskGroup() as group:
        tasks = {
            part: group.create_task(_run_part(root, part, extra, lanes), name=part.name)
            for part in (parts if count == 1 else _sort_by_length(parts))
        }
    return {part: task.result() for part, task in tasks.items()}


def _sort_by_length(parts: Sequence[Part]) -> list[Part]:
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    return sorted(parts, key=lambda part: ranks.get(part.name, len(ranks)))


async def _run_part(root: Path, part: Part, extra: Sequence[str], lanes: Lanes) -> _Run:
    folder = root / "tests" / part.folder
    if not folder.is_dir():
        return _Run(_NOT_RUN, 0.0, f"{folder} is missing", is_whole=False)
    python = Path(sys.executable)
    if part.python:
        try:
            python = await asyncio.to_thread(_make_environment, root, part.python)
        except SetupFault as fault:
            return _Run(_NOT_RUN, 0.0, fault.problem, is_whole=False)
    with tempfile.TemporaryDirectory(prefix="bai-test-") as place:
        report = Path(place) / "report.xml"
        argv = [*_ask_pytest(root, part, python), f"--junitxml={report}", *extra]
        is_patient = part.kind in PATIENT_KINDS
        ended = await lanes.run(Program(part.name, argv, root, _environment(), is_patient))
        return _Run(ended.code, ended.seconds, _read_counts(report), _is_whole(report))


def _ask_pytest(root: Path, part: Part, python: Path) -> list[str]:
    """The command. Each part remembers what failed in a place of its own."""
    cache = f"cache_dir={root / '.pytest_cache' / part.name}"
    return [str(python), "-m", "pytest", str(root / "tests" / part.folder), "-o", cache]


def _judge(root: Path, part: Part, run: _Run, extra: Sequence[str]) -> Outcome:
    """What fails in a timed kind is run once more, beside nothing else."""
    code, seconds, counts = run.code, run.seconds, run.counts
    if code == _SOME_FAILED and part.kind in TIMED_KINDS and run.is_whole and not extra:
        print(f"── {part.name}: what failed, once more and alone", flush=True)
        started = time.monotonic()
        argv = [*_ask_pytest(root, part, Path(sys.executable)), "--last-failed"]
        code = subprocess.run(argv, check=False, cwd=root, env=_environment()).returncode
        seconds += time.monotonic() - started
        counts += ", UNSTEADY: passed when run again" if code == 0 else ", failed again"
    return Outcome(part.name, code == 0 or (code == _NO_TESTS and bool(extra)), seconds, counts)


def _environment() -> dict[str, str]:
    """Without the instance of the person who runs the tests: tests have their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKEND_")}
    kept.pop("BAI_HOME", None)
    kept.pop("BAI_ROOT", None)
    return kept


def _is_whole(report: Path) -> bool:
    """Whether pytest came to the end of its list: after an error of its own it did not."""
    if not report.exists():
        return False
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314
    return not any(case.get("name") == "internal" for case in cases)


def _read_counts(report: Path) -> str:
    if not report.exists():
        return "pytest could not start"
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in suites:
        for name in totals:
            totals[name] += int(suite.get(name, 0))
    passed = totals["tests"] - totals["failures"] - totals["errors"] - totals["skipped"]
    words = [f"{passed} passed"]
    words += [
        f"{totals[name]} {name}" for name in ("failures", "errors", "skipped") if totals[name]
    ]
    return ", ".join(words)


def _run_command(root: Path, name: str, argv: Sequence[str]) -> Outcome:
    print(f"── {name}", flush=True)
    started = time.monotonic()
    done = subprocess.run(argv, check=False, cwd=root)
    return Outcome(name, done.returncode == 0, time.monotonic() - started)


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _make_environment(root: Path, python: Path) -> Path:
    """A second virtual environment, kept in the cache for as long as the lock is the same."""
    lock = (root / "requirements.lock").read_bytes()
    key = hashlib.sha256(lock + os.fsencode(root)).hexdigest()[:12]
    place = find_cache() / "environments" / f"{SMOKE_VERSION}-{key}"
    inner = place / "bin" / "python"
    if (place / "done").exists():
        return inner
    project = tomllib.loads((root / "pyproject.toml").read_text())
    folders = project["tool"]["uv"]["workspace"]["members"]
    editable = [word for folder in folders for word in ("-e", str(root / folder))]
    install = [_tool("uv"), "pip", "install", "--quiet", "--python", str(inner)]
    for argv in (
        [_tool("uv"), "venv", "--quiet", "--clear", "--python", str(python), str(place)],
        [*install, "--require-hashes", "-r", str(root / "requirements.lock")],
        [*install, "--no-deps", *editable],
    ):
        if subprocess.run(argv, check=False, cwd=root).returncode != 0:
            raise SetupFault(f"`{' '.join(argv[:3])}` failed", "see above")
    (place / "done").touch()
    return inner
