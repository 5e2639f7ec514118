"""The environment of user processes: the image's own, then the kernel's, with nothing of the bundle
in it.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from backendai.kernel.wire import KernelSetup

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SAVED_PRELOAD = "USER_LD_PRELOAD"
IMAGE_SHELL = "/bin/sh"


def make_environ(image: Mapping[str, str], setup: KernelSetup, work_dir: Path) -> dict[str, str]:
    """The entry script hides the image's LD_PRELOAD from the runner; here it comes back."""
    environ = restore_preload(image)
    environ.setdefault("PATH", DEFAULT_PATH)
    environ.setdefault("LANG", "C.UTF-8")
    environ.setdefault("USER", "work")
    if environ.get("HOME", "/") in ("", "/"):
        environ["HOME"] = str(work_dir)
    environ["PWD"] = str(work_dir)
    environ.update(setup.environ)
    return environ


def restore_preload(environ: Mapping[str, str]) -> dict[str, str]:
    """What the user's programs get, of an environment that keeps LD_PRELOAD from the bundle's."""
    restored = dict(environ)
    preload = restored.pop(SAVED_PRELOAD, "")
    return {**restored, "LD_PRELOAD": preload} if preload else restored


def hide_preload(environ: Mapping[str, str]) -> dict[str, str]:
    """For a program of the bundle, which hands it on to the user's."""
    hidden = dict(environ)
    preload = hidden.pop("LD_PRELOAD", "")
    return {**hidden, SAVED_PRELOAD: preload} if preload else hidden


def list_interpreters(runtime_path: str, search_path: str) -> list[str]:
    """Interpreters to try in turn: what the image names, its python3 and python; the bundle's is
    not among them.
    """
    found = [
        shutil.which(name, path=search_path) for name in (runtime_path, "python3", "python") if name
    ]
    return list(dict.fromkeys(path for path in found if path))


def get_bundle_interpreter() -> str:
    return sys.executable


def make_bundle_command(name: str, *words: str) -> list[str]:
    """Runs `main` of a module of the apps by the bundle's interpreter, which finds what this one
    finds and nothing of the image's.
    """
    start = (
        "import sys; sys.path[:] = sys.argv.pop(1).split(':'); "
        f"from backendai.kernel.apps.{name} import main; sys.exit(main(sys.argv[1:]))"
    )
    search_path = ":".join(folder for folder in sys.path if folder)
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", start, search_path, *words]


def make_shell_command(command: str) -> list[str]:
    """Run by the image's shell, or by the bundle's busybox where the image has none; raises
    FileNotFoundError.
    """
    if os.access(IMAGE_SHELL, os.X_OK):
        return [IMAGE_SHELL, "-c", command]
    busybox = Path(sys.executable).with_name("busybox")
    if os.access(busybox, os.X_OK):
        return [str(busybox), "sh", "-c", command]
    raise FileNotFoundError("the image has no /bin/sh and the bundle was built without busybox")
