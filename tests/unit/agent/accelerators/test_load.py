"""Plugins by entry points: whatever one does wrong costs a line, never the node."""

import logging
import threading
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from backendai.agent.accelerators.load import load_plugins
from backendai.agent.accelerators.mock import MockDriver
from backendai.agent.resources.plugin import (
    ENTRY_POINTS_GROUP,
    Accelerator,
    Context,
    Device,
    NothingHere,
)
from backendai.agent.settings import AcceleratorsSection, AgentSettings, MockSection
from backendai.common.settings.load import check_settings
from backendai.common.slots import SlotName

CONTEXTS: list[Context] = []
NEVER = threading.Event()


def open_other(context: Context) -> Accelerator:
    CONTEXTS.append(context)
    return _Offering("npu.device")


def open_broken(context: Context) -> Accelerator:
    raise RuntimeError("the library is torn")


def open_idle(context: Context) -> Accelerator:
    raise NothingHere("no such card")


def open_hanging(context: Context) -> Accelerator:
    NEVER.wait()
    raise AssertionError


def open_greedy(context: Context) -> Accelerator:
    return _Offering("cpu")


class _Offering(MockDriver):
    """A driver of one device, with the slot that it is made with."""

    def __init__(self, slot: str) -> None:
        super().__init__(Path("nowhere"))
        object.__setattr__(self, "slot", slot)

    def discover(self) -> list[Device]:
        return [Device("x", SlotName(str(object.__getattribute__(self, "slot"))))]


def point(name: str, function: str = "open_other") -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{function}", ENTRY_POINTS_GROUP)


def load(*points: EntryPoint, **settings: object) -> list[str]:
    tree = check_settings(AgentSettings, {"accelerators": settings}, "agent.toml").accelerators
    return [plugin.name for plugin in load_plugins(points, tree, "process", 1.0)]


def events(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_the_agents_own_plugins_are_installed() -> None:
    names = {one.name for one in entry_points(group=ENTRY_POINTS_GROUP)}
    assert names >= {"cuda", "mock"}
    assert all(callable(one.load()) for one in entry_points(group=ENTRY_POINTS_GROUP))


def test_all_that_are_installed_are_used() -> None:
    assert load(point("npu")) == ["mock"]
    assert load(point("npu"), plugins=["npu", "npu"]) == ["mock"]
    assert load(point("npu"), plugins=["other"]) == []


@pytest.mark.parametrize(
    ("name", "function", "words"),
    [
        ("torn", "open_broken", "RuntimeError: the library is torn"),
        ("gone", "no_such_function", "AttributeError"),
        ("stuck", "open_hanging", "has not answered for 1 s"),
        ("greedy", "open_greedy", "cores and memory are the agent's own"),
    ],
)
def test_a_plugin_that_fails_costs_one_line(
    name: str, function: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert load(point(name, function), point("npu")) == ["mock"]
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert words in str(record.__dict__)
    assert name in str(record.__dict__)


def test_a_module_that_is_not_there_costs_one_line(caplog: pytest.LogCaptureFixture) -> None:
    missing = EntryPoint("m", "no_such_module_at_all:open", ENTRY_POINTS_GROUP)
    assert load(missing, point("npu")) == ["mock"]
    assert len(events(caplog, logging.ERROR)) == 1


def test_an_unknown_name_is_told_with_what_there_is(caplog: pytest.LogCaptureFixture) -> None:
    assert load(point("npu"), plugins=["nqu", "npu"]) == ["mock"]
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "nqu" in str(record.__dict__)
    assert "npu" in str(record.__dict__)


def test_a_node_without_the_hardware_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    assert load(point("idle", "open_idle")) == []
    assert not events(caplog, logging.ERROR)


def test_two_plugins_for_one_slot_are_one_too_many(caplog: pytest.LogCaptureFixture) -> None:
    assert load(point("a"), point("b")) == ["mock"]
    assert len(events(caplog, logging.ERROR)) == 1


def test_a_plugin_is_told_its_own_settings() -> None:
    CONTEXTS.clear()
    load(point("npu"), options={"npu": {"colour": "red"}})
    (context,) = CONTEXTS
    assert context == Context("process", {"colour": "red"})
    CONTEXTS.clear()
    load(point("mock"))
    assert isinstance(CONTEXTS[0].settings, MockSection)


def test_the_defaults_name_no_devices() -> None:
    own = entry_points(group=ENTRY_POINTS_GROUP)
    mock = [one for one in own if one.name == "mock"]
    assert load_plugins(mock, AcceleratorsSection(), "docker") == []
