"""Pictures of pages that stay after the run, for people to look at.

`BAI_TEST_SHOTS` names their folder; without it they are in `.bai-shots` of the checkout.
"""

import os
from pathlib import Path

from playwright.sync_api import Page

from tests.running.stack import ROOT


def find_shots() -> Path:
    return Path(os.environ.get("BAI_TEST_SHOTS") or ROOT / ".bai-shots").absolute()


def keep_shot(page: Page, name: str) -> None:
    """As `name`.png, in place of the one of an earlier run. Nothing moves in it."""
    folder = find_shots()
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", animations="disabled")
