"""What tests need of the machine: named with its package when it cannot be installed."""

import pytest

from backendai.halfstack import tools
from backendai.halfstack.faults import SetupFault


def test_a_missing_tool_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "TOOLS", {"e2e": {"no-such-program": "its-package"}})
    monkeypatch.setattr(tools, "can_install", lambda: False)
    with pytest.raises(SetupFault, match="its-package") as caught:
        tools.ensure_tools(["unit", "e2e"], lambda _: None)
    assert caught.value.fix == "apt-get install its-package"


def test_other_kinds_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TOOLS", {"e2e": {"no-such-program": "its-package"}})
    tools.ensure_tools(["unit", "tidy"], lambda _: None)


def test_a_missing_tool_is_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    both = {"no-such-program": "its-package"}
    monkeypatch.setattr(tools, "TOOLS", {"e2e": both, "conformance": both})
    monkeypatch.setattr(tools, "can_install", lambda: True)
    monkeypatch.setattr(tools, "install_missing", lambda packages, say: asked.append(packages))
    tools.ensure_tools(["conformance", "e2e"], lambda _: None)
    assert asked == [["its-package"]]
