"""Brings what the web terminal is drawn with into a wheel. An editable install does without: there
the builder of the bundle does it.
"""

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or self.target_name != "wheel":
            return
        sys.path.insert(0, self.root)
        from backendai.kernel.page import PageError, bring_page

        try:
            bring_page()
        except PageError as error:
            self.app.display_warning(f"the wheel has no page of a terminal: {error}")
