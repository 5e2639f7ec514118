"""Running the project's own tests and checks, kind by kind, with one summary."""

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

KINDS = ("tidy", "unit", "contract", "sim", "integration", "conformance", "e2e")
SMOKE_VERSION = "3.13"
# These wait for real processes with a limit, which a crowded machine may exceed; a failure that
# does not come back is told as unsteady, and is a defect of the test or of the system all the same.
TIMED_KINDS = ("integration", "conformance", "e2e")
# Each folder in a process of its own: what breaks in one takes no other with it.
SPLIT_KINDS = ("integration",)
_SOME_FAILED = 1
_NO_TESTS = 5


@dataclass(frozen=True)
class Outcome:
    """One kind of tests, or one check. `counts` is empty when there was nothing to count."""

    name: str
    is_ok: bool
    seconds: float
    counts: str = ""


def run_kinds(root: Path, kinds: Sequence[str], extra: Sequence[str]) -> list[Outcome]:
    parts = [part for kind in kinds for part in list_parts(root, kind)]
    return [_run_kind(root, part, sys.executable, extra) for part in parts]


def list_parts(root: Path, kind: str) -> list[str]:
    """The folders below `tests` that are run one after another for a kind."""
    if kind not in SPLIT_KINDS:
        return [kind]
    folder = root / "tests" / kind
    names = {path.relative_to(folder).parts[0] for path in folder.glob("*/**/test_*.py")}
    return [f"{kind}/{name}" for name in sorted(names)] or [kind]


def choose_kinds(asked: Sequence[str]) -> list[str]:
    """In the order of cost. Raises SetupFault for a word that is no kind."""
    unknown = sorted(set(asked) - {*KINDS, "all"})
    if unknown:
        raise SetupFault(
            f"{', '.join(unknown)} is no kind of tests", f"choose from: {', '.join(KINDS)}, all"
        )
    return [kind for kind in KINDS if not asked or "all" in asked or kind in asked]


def run_smoke(root: Path, say: Callable[[str], None]) -> Outcome | None:
    """Unit tests on the newest supported Python; None when this machine has none."""
    found = find_python(SMOKE_VERSION)
    if found is None:
        say(f"no Python {SMOKE_VERSION} on this machine: its smoke test is left out")
        return None
    say(f"unit tests on {found}")
    python = _make_environment(root, str(found))
    outcome = _run_kind(root, "unit", str(python), ["-p", "no:cacheprovider"])
    return Outcome(f"unit on {SMOKE_VERSION}", outcome.is_ok, outcome.seconds, outcome.counts)


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
    return [*outcomes, *run_kinds(root, ("unit", "tidy"), ["-q"])]


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


def _run_kind(root: Path, kind: str, python: str, extra: Sequence[str]) -> Outcome:
    folder = root / "tests" / kind
    started = time.monotonic()
    if not folder.is_dir():
        return Outcome(kind, False, 0.0, f"{folder} is missing")
    with tempfile.TemporaryDirectory(prefix="bai-test-") as place:
        report = Path(place) / "report.xml"
        argv = [python, "-m", "pytest", str(folder), f"--junitxml={report}", *extra]
        print(f"── {kind}", flush=True)
        code = subprocess.run(argv, check=False, cwd=root, env=_environment()).returncode
        counts = _read_counts(report)
        is_timed = kind.partition("/")[0] in TIMED_KINDS
        if code == _SOME_FAILED and is_timed and _is_whole(report) and not extra:
            print(f"── {kind}: what failed, once more and alone", flush=True)
            again = [python, "-m", "pytest", str(folder), "--last-failed"]
            code = subprocess.run(again, check=False, cwd=root, env=_environment()).returncode
            counts += ", UNSTEADY: passed when run again" if code == 0 else ", failed again"
    is_ok = code == 0 or (code == _NO_TESTS and bool(extra))
    return Outcome(kind, is_ok, time.monotonic() - started, counts)


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


def _make_environment(root: Path, python: str) -> Path:
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
        [_tool("uv"), "venv", "--quiet", "--clear", "--python", python, str(place)],
        [*install, "--require-hashes", "-r", str(root / "requirements.lock")],
        [*install, "--no-deps", *editable],
    ):
        if subprocess.run(argv, check=False, cwd=root).returncode != 0:
            raise SetupFault(f"`{' '.join(argv[:3])}` failed", "see above")
    (place / "done").touch()
    return inner
