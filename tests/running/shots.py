"""Pictures of pages that stay after the run, for people to look at.

`BAI_TEST_SHOTS` names their folder; without it they are in `.bai-shots` of the checkout. With
`BAI_GUIDE_PICTURES=1` those that the guides show are put there too, small.
"""

import base64
import os
from pathlib import Path
from typing import Final

from playwright.sync_api import Page

from tests.running.browser import settle
from tests.running.stack import ROOT

# Picture of the guides -> the shot that it is made of.
PICTURES: Final = {
    "login": "nobody-login-wrong-desktop-light",
    "start": "guide-start",
    "launch": "guide-launch",
    "session": "guide-session",
    "waiting": "guide-waiting",
    "apps": "user-session-apps-desktop-light",
    "jupyter": "user-jupyter-lab-desktop-light",
    "terminal": "user-terminal-lost-desktop-light",
    "folders": "guide-folders",
    "explorer": "guide-explorer",
    "share": "user-folders-share-desktop-light",
    "dashboard": "guide-dashboard",
    "security": "guide-security",
    "agents": "guide-agents",
    "users": "guide-users",
    "project": "guide-project",
    "policy": "guide-policy",
    "queue": "guide-queue",
    "environments": "guide-environments",
    "settings": "guide-settings",
    "maintenance": "guide-maintenance",
    "audit": "guide-audit",
}
PLACE: Final = ROOT / "docs/guides/images"
_SHRINK: Final = """async (png) => {
  const image = new Image()
  image.src = `data:image/png;base64,${png}`
  await image.decode()
  const canvas = document.createElement('canvas')
  const scale = Math.min(1, 1200 / image.width)
  canvas.width = Math.round(image.width * scale)
  canvas.height = Math.round(image.height * scale)
  const pen = canvas.getContext('2d')
  pen.imageSmoothingQuality = 'high'
  pen.drawImage(image, 0, 0, canvas.width, canvas.height)
  return canvas.toDataURL('image/webp', 0.82).split(',')[1]
}"""


def find_shots() -> Path:
    return Path(os.environ.get("BAI_TEST_SHOTS") or ROOT / ".bai-shots").absolute()


def keep_shot(page: Page, name: str) -> None:
    """As `name`.png, in place of the one of an earlier run. Nothing moves in it."""
    folder = find_shots()
    folder.mkdir(parents=True, exist_ok=True)
    settle(page)
    data = page.screenshot(path=folder / f"{name}.png", animations="disabled")
    if os.environ.get("BAI_GUIDE_PICTURES") == "1":
        keep_pictures(page, name, data)


def keep_pictures(page: Page, shot: str, png: bytes) -> None:
    """In the folder of the guides, where they show this shot."""
    for picture in (name for name, source in PICTURES.items() if source == shot):
        blank = page.context.new_page()
        made = str(blank.evaluate(_SHRINK, base64.b64encode(png).decode()))
        blank.close()
        PLACE.mkdir(parents=True, exist_ok=True)
        (PLACE / f"{picture}.webp").write_bytes(base64.b64decode(made))
