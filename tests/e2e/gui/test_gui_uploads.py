"""Files dropped from the desktop into a folder, whatever happens to the storage meanwhile."""

import hashlib
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, Request, Response, expect

from tests.e2e.gui.conftest import Folder, OpenAs
from tests.running.shots import keep_shot
from tests.running.stack import Stack

SIZE = 200 << 20
# As a good line of an office: slow enough for something to happen between two pieces.
UPLOAD_BYTES_PER_SECOND = 40 << 20
OFFSET = "upload-offset"


@dataclass
class Killer:
    """Kills a process as soon as it has acknowledged a part of what is sent to it."""

    pid: int
    acknowledged: int = 0
    offsets_after: list[int] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("response", self._hear)
        page.on("request", self._see)

    def _hear(self, response: Response) -> None:
        if response.request.method == "PATCH" and not self.acknowledged:
            self.acknowledged = int(response.headers.get(OFFSET, 0))
            if self.acknowledged:
                os.kill(self.pid, signal.SIGKILL)

    def _see(self, request: Request) -> None:
        if request.method == "PATCH" and self.acknowledged:
            self.offsets_after.append(int(request.headers.get(OFFSET, 0)))


def test_a_dropped_file_survives_the_death_of_the_storage_proxy(
    stack: Stack, open_as: OpenAs, folder: Folder, tmp_path: Path
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(os.urandom(1 << 20) * (SIZE >> 20))
    visit = open_as()
    page = visit.go(f"/folders/{folder.id}")
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_visible()
    killer = Killer(stack.daemon("storage")["pid"])
    killer.watch(page)
    slow_down(page)
    drop(page, file)
    expect(page.locator("[data-upload=retrying]")).to_be_visible()
    keep_shot(page, "user-upload-interrupted-desktop-light")
    expect(page.locator("[data-upload=done]")).to_be_visible(timeout=120_000)
    assert 0 < killer.acknowledged < SIZE, "it was killed in the middle"
    assert min(killer.offsets_after) >= killer.acknowledged, "nothing was sent twice"
    assert len([offset for offset in killer.offsets_after if offset]) >= 2
    expect(page.get_by_role("row").filter(has_text="large.bin")).to_contain_text("200 MiB")
    page.get_by_label("Actions large.bin").click()
    with page.expect_download() as fetched:
        page.get_by_role("menuitem", name="Download").click()
    assert digest_of(Path(fetched.value.path())) == digest_of(file)


def slow_down(page: Page) -> None:
    line = {"offline": False, "latency": 0, "downloadThroughput": -1}
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions", {**line, "uploadThroughput": UPLOAD_BYTES_PER_SECOND}
    )


def drop(page: Page, *files: Path) -> None:
    """As from the desktop: the browser itself makes the events and opens the files."""
    window = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        window.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 450, "data": data})


def digest_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
