"""The project's own text, read once: every distribution, module and import."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

# Folder of each distribution, and the import name of its package.
DISTRIBUTIONS: Final = {
    "src/common": "backendai.common",
    "src/client": "backendai.client",
    "src/kernel": "backendai.kernel",
    "manager": "backendai.manager",
    "agent": "backendai.agent",
    "storage-proxy": "backendai.storage",
    "webserver": "backendai.webserver",
    "wsproxy": "backendai.wsproxy",
    "halfstack": "backendai.halfstack",
}


@dataclass(frozen=True)
class Module:
    """One Python file of a distribution, with its import name."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The distribution's package, such as `backendai.common`."""
        return ".".join(self.name.split(".")[:2])

    def imported(self) -> Iterator[str]:
        """Names of all modules that this one imports anywhere, functions included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = self._source_of(node)
                yield source
                yield from (f"{source}.{alias.name}" for alias in node.names)

    def _source_of(self, node: ast.ImportFrom) -> str:
        """The absolute name of what `from … import` names, also when it is relative."""
        if not node.level:
            return node.module or ""
        depth = node.level - (self.path.name == "__init__.py")
        parts = self.name.split(".")
        package = parts[: len(parts) - depth] if depth else parts
        return ".".join([*package, node.module] if node.module else package)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@functools.cache
def modules() -> tuple[Module, ...]:
    """All modules of all distributions, generated and cached files left out."""
    return tuple(_load(folder) for folder in _python_files())


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """Files that git tracks or would track: nothing ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = listing.stdout.decode().split("\0")
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


def _python_files() -> Iterator[Path]:
    for folder in DISTRIBUTIONS:
        yield from sorted((ROOT / folder / "backendai").rglob("*.py"))


def _load(path: Path) -> Module:
    for folder in DISTRIBUTIONS:
        if path.is_relative_to(ROOT / folder / "backendai"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            break
    else:
        raise ValueError(f"{path} is in no distribution")
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text()
    return Module(name, path, text, ast.parse(text, filename=str(path)))
