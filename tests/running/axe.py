"""What axe-core, which checks pages for people who cannot see or point, says of a page."""

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from backendai.halfstack.gui import SOURCES, fetch_libraries
from tests.running.browser import settle
from tests.running.stack import ROOT

_PROGRAM: Final = ROOT / SOURCES / "node_modules/axe-core/axe.min.js"
_GRAVE: Final = ("serious", "critical")
_FIND: Final = "() => axe.run(document, {resultTypes: ['violations']})"
_SAID_MAX: Final = 300


def find_axe() -> Path:
    """The program; a GUI that came out of a cache was built without its libraries here."""
    if not _PROGRAM.exists():
        fetch_libraries(ROOT / SOURCES)
    return _PROGRAM


def find_barriers(page: Page, program: Path) -> list[str]:
    """What is serious or critical, one line for each element."""
    settle(page)
    if not page.evaluate("() => 'axe' in window"):
        # Said to the browser, not to the page, so that the page's own policy stays as it is.
        page.evaluate(f"() => {{ {program.read_text()} }}")
    found: dict[str, Any] = page.evaluate(_FIND)
    return [
        f"{rule['id']}: {node['target']}: {' '.join(node['failureSummary'].split())[:_SAID_MAX]}"
        for rule in found["violations"]
        if rule["impact"] in _GRAVE
        for node in rule["nodes"]
    ]
