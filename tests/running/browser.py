"""A real browser, as tests drive it: Debian's Chromium without a window.

A `Visit` is one person in front of it. It keeps what went wrong behind the page: errors in the
console and calls that were refused.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    Request,
    Response,
    WebSocketRoute,
    sync_playwright,
)

from tests.running.waiting import PATIENCE_SECONDS

DESKTOP: Final = {"width": 1440, "height": 900}
PHONE: Final = {"width": 390, "height": 844}
# What is said of a network that came or went is no fault of the page.
_BROKEN_OFF: Final = "net::ERR_ABORTED"
_OF_THE_NETWORK: Final = ("net::ERR_NETWORK_CHANGED", "net::ERR_INTERNET_DISCONNECTED")
# By the page that tells of a broken network.
_OVERTAKEN: Final = "is interrupted by another navigation"
_TRIES: Final = 5
# Colours that pass from light to dark are half way for a while; what goes round for ever is no end.
_SETTLE: Final = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
  const ends = ({ effect }) => effect?.getComputedTiming().endTime !== Infinity
  const passing = document.getAnimations().filter(ends)
  await Promise.all(passing.map(({ finished }) => finished.catch(() => undefined)))
}"""


@dataclass
class Line:
    """The network between a browser and everything else, to be cut and mended: its own way of
    being offline leaves open WebSockets alone."""

    context: BrowserContext
    _is_cut: bool = False
    _open: list[tuple[WebSocketRoute, WebSocketRoute]] = field(default_factory=list)

    def watch(self) -> "Line":
        """For pages that are opened from now on."""
        self.context.route_web_socket(re.compile(""), self._pass)
        return self

    def cut(self) -> None:
        self._is_cut = True
        self.context.set_offline(True)
        for page_end, server_end in self._open:
            page_end.close()
            server_end.close()
        self._open.clear()

    def mend(self) -> None:
        self._is_cut = False
        self.context.set_offline(False)

    def _pass(self, socket: WebSocketRoute) -> None:
        if self._is_cut:
            socket.close()
        else:
            self._open.append((socket, socket.connect_to_server()))


@dataclass
class Visit:
    """One context of the browser with its own cookies, at one webserver."""

    context: BrowserContext
    page: Page
    origin: str
    errors: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    _is_broken: bool = False

    def go(self, path: str) -> Page:
        """Again where a network that came or went broke it off, or a script that it needs."""
        for _ in range(_TRIES):
            self._is_broken = False
            try:
                self.page.goto(f"{self.origin}{path}")
            except Error as error:
                if not any(word in error.message for word in (*_OF_THE_NETWORK, _OVERTAKEN)):
                    raise
                self.page.wait_for_load_state()
            else:
                if not self._is_broken:
                    return self.page
        raise AssertionError(f"the network does not come to rest: {path}")

    def log_in(self, name: str, password: str) -> None:
        self.page.locator("input[autocomplete=username]").fill(name)
        self.page.locator("input[autocomplete=current-password]").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def watch(self, page: Page) -> Page:
        """Notes from now on what goes wrong behind `page`."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("response", self._note)
        page.on("requestfailed", self._miss)
        return page

    def forget(self) -> None:
        """Begin to count anew."""
        for notes in (self.errors, self.refused, self.calls):
            notes.clear()

    def _miss(self, request: Request) -> None:
        """Who leaves a page breaks off what it asked for."""
        why = request.failure or ""
        if why in _OF_THE_NETWORK and request.resource_type in ("script", "stylesheet"):
            self._is_broken = True
        if why != _BROKEN_OFF and why not in _OF_THE_NETWORK:
            self.refused.append(f"{request.method} {request.url} {why}")

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and not any(word in text for word in _OF_THE_NETWORK):
            self.errors.append(text)

    def _note(self, response: Response) -> None:
        path = response.url.removeprefix(self.origin)
        line = f"{response.request.method} {path}"
        if path.startswith(("/func/", "/server/")):
            self.calls.append(line)
        if response.status >= 400:
            self.refused.append(f"{line} {response.status}")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Raises AssertionError where there is no Chromium."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed: ./bai doctor tells how"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_visit(browser: Browser, origin: str, shots: Path, **more: Any) -> Iterator[Visit]:
    """What the page shows at a failure is left in `shots`."""
    options = {"viewport": DESKTOP, "locale": "en", **more}
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    visit = Visit(context, page, origin)
    visit.watch(page)
    try:
        yield visit
    except BaseException:
        shots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=shots / "failure.png")
        raise
    finally:
        context.close()


def settle(page: Page) -> None:
    """Wait until nothing moves or fades any more: half way a page looks as it never does."""
    page.evaluate(_SETTLE)
