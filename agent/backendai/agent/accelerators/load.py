"""Finds accelerators by their entry points. One that fails costs a line in the log, no node."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from backendai.agent.resources.allocate import Strategy
from backendai.agent.resources.devices import DevicePlugin
from backendai.agent.resources.plugin import (
    ENTRY_POINTS_GROUP,
    Accelerator,
    Context,
    NothingHere,
)
from backendai.agent.settings import AcceleratorsSection
from backendai.common.logs import get_logger

from .aside import run_aside

log = get_logger(__name__)

DISCOVER_SECONDS_MAX: Final = 30.0


def load_accelerators(settings: AcceleratorsSection, mode: str) -> list[DevicePlugin]:
    """The devices of all installed plugins, or of those that the settings name."""
    return load_plugins(entry_points(group=ENTRY_POINTS_GROUP), settings, mode)


def load_plugins(
    found: Iterable[EntryPoint],
    settings: AcceleratorsSection,
    mode: str,
    seconds_max: float = DISCOVER_SECONDS_MAX,
) -> list[DevicePlugin]:
    installed = {point.name: point for point in sorted(found, key=lambda point: point.name)}
    names = settings.plugins or tuple(installed)
    plugins: list[DevicePlugin] = []
    for name in dict.fromkeys(names):
        point = installed.get(name)
        if point is None:
            log.error("plugin.unknown", plugin=name, installed=", ".join(installed))
            continue
        context = Context(mode, _table_of(name, settings))
        plugin = _load(point, context, Strategy(settings.strategy), seconds_max)
        if plugin is not None and _is_alone(plugin, name, plugins):
            plugins.append(plugin)
    return plugins


def _table_of(name: str, settings: AcceleratorsSection) -> object:
    own: Mapping[str, object] = {"cuda": settings.cuda, "mock": settings.mock}
    return own.get(name, settings.options.get(name, {}))


def _load(
    point: EntryPoint, context: Context, strategy: Strategy, seconds_max: float
) -> DevicePlugin | None:
    def discover() -> DevicePlugin:
        driver: Accelerator = point.load()(context)
        return DevicePlugin.of(driver, strategy)

    try:
        plugin = run_aside(discover, f"discover {point.name}").result(seconds_max)
    except NothingHere as reason:
        log.info("plugin.idle", plugin=point.name, detail=str(reason))
        return None
    except TimeoutError:
        detail = f"its driver has not answered for {seconds_max:g} s"
        log.error("plugin.failed", plugin=point.name, detail=detail)
        return None
    except Exception as error:
        # Whatever a driver does wrong must not take the rest of the node away.
        log.error("plugin.failed", plugin=point.name, detail=f"{type(error).__name__}: {error}")
        return None
    log.info("plugin.loaded", plugin=point.name, capacity=plugin.capacity().to_json())
    return plugin if plugin.devices else None


def _is_alone(plugin: DevicePlugin, name: str, others: Sequence[DevicePlugin]) -> bool:
    """Whether no other plugin offers the same slots: their devices could not be told apart."""
    taken = {slot for other in others for slot in other.slots} & set(plugin.slots)
    if taken:
        log.error("plugin.refused", plugin=name, detail=f"others offer {sorted(taken)} too")
    return not taken
