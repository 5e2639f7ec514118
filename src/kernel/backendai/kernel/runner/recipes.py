"""How well-known programs are started as apps when the image does not say it. PURE.

They get no password of their own: nobody reaches them but through the door of the kernel. Each
listens inside the container alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Situation:
    """What a command line depends on; `program` is the path that was found, `given` the names of
    the arguments that are given besides.
    """

    program: str
    port: int
    work_dir: str
    is_root: bool = False
    given: frozenset[str] = frozenset()


def _jupyter(situation: Situation) -> list[str]:
    # The words before version 7 of Notebook, and before 2 of Jupyter Server, are given as well:
    # each version passes over those that it does not know.
    words = [
        "--no-browser",
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={situation.port}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={situation.work_dir}"),
        *("--IdentityProvider.token=", "--ServerApp.token=", "--ServerApp.password="),
        *("--ServerApp.allow_remote_access=True", "--ServerApp.allow_origin="),
        *("--NotebookApp.ip=127.0.0.1", f"--NotebookApp.port={situation.port}"),
        *("--NotebookApp.port_retries=0", f"--NotebookApp.notebook_dir={situation.work_dir}"),
        *("--NotebookApp.token=", "--NotebookApp.password="),
        "--NotebookApp.allow_remote_access=True",
    ]
    return [situation.program, *words, *(["--allow-root"] if situation.is_root else [])]


def _tensorboard(situation: Situation) -> list[str]:
    words = ["--host=127.0.0.1", f"--port={situation.port}"]
    if not {"--logdir", "--logdir_spec"} & situation.given:
        words.append(f"--logdir={situation.work_dir}/logs")
    return [situation.program, *words]


def _vscode(situation: Situation) -> list[str]:
    words = ["--auth=none", f"--bind-addr=127.0.0.1:{situation.port}"]
    words += ["--disable-telemetry", "--disable-update-check"]
    return [situation.program, *words, situation.work_dir]


RECIPES: Final[dict[str, Callable[[Situation], list[str]]]] = {
    "jupyterlab": _jupyter,
    "jupyter": _jupyter,
    "tensorboard": _tensorboard,
    "vscode": _vscode,
}
