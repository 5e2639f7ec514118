"""Programs of Debian that tests need and a cluster does not: a browser, SSH, Prometheus."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from .doctor import can_install, install_missing
from .faults import SetupFault

# Kind of tests -> program -> Debian package.
TOOLS: Final[Mapping[str, Mapping[str, str]]] = {
    "unit": {"mkfs.xfs": "xfsprogs"},
    "conformance": {"chromium": "chromium", "ssh": "openssh-client"},
    "integration": {"promtool": "prometheus"},
    "e2e": {"chromium": "chromium", "ssh": "openssh-client", "prometheus": "prometheus"},
}


def ensure_tools(kinds: Iterable[str], say: Callable[[str], None]) -> None:
    """Install what is missing, as root. Raises SetupFault naming it when that cannot be done."""
    wanted = {
        program: package for kind in kinds for program, package in TOOLS.get(kind, {}).items()
    }
    missing = sorted({wanted[program] for program in wanted if shutil.which(program) is None})
    if not missing:
        return
    if not can_install():
        words = " ".join(missing)
        raise SetupFault(f"these tests need {words}", f"apt-get install {words}")
    install_missing(missing, say)
