"""Who may import whom, and what pure modules must not know."""

from typing import Final

import pytest

from tests.tidy.tree import ROOT, Module, modules, tracked_files

# What each distribution may import of ours, beside itself.
MAY_IMPORT: Final = {
    "backendai.kernel": set(),
    "backendai.common": set(),
    "backendai.client": {"backendai.common"},
    "backendai.manager": {"backendai.common"},
    "backendai.agent": {"backendai.common", "backendai.kernel"},
    "backendai.storage": {"backendai.common"},
    "backendai.webserver": {"backendai.common"},
    "backendai.wsproxy": {"backendai.common"},
    "backendai.halfstack": {"backendai.common", "backendai.client", "backendai.kernel"},
}

# Modules (or packages) that decide with values only.
PURE: Final = (
    "backendai.common.lifecycle",
    "backendai.common.slots",
    "backendai.common.enums",
    "backendai.manager.sched",
    "backendai.manager.lifecycle.decide",
    "backendai.agent.joining.decide",
    "backendai.agent.machine",
    "backendai.agent.accelerators.conditions",
    "backendai.agent.accelerators.cuda.limits",
    "backendai.agent.resources.allocate",
    "backendai.agent.resources.devices",
    "backendai.agent.resources.holds",
    "backendai.agent.resources.inventory",
    "backendai.agent.resources.cpu",
    "backendai.agent.resources.memory",
    "backendai.storage.downloads.heads",
    "backendai.storage.downloads.ranges",
    "backendai.storage.layout",
    "backendai.common.paths",
    "backendai.storage.uploads.headers",
    "backendai.storage.uploads.record",
    "backendai.webserver.proxy.target",
    "backendai.webserver.pages.config",
)
# The edge of the scheduler: it reads the view, writes the plan, and wakes.
IMPURE_PARTS: Final = (
    "backendai.manager.sched.load",
    "backendai.manager.sched.apply",
    "backendai.manager.sched.loop",
)
IO_MODULES: Final = {
    "asyncio",
    "aiohttp",
    "sqlalchemy",
    "asyncpg",
    "zmq",
    "time",
    "random",
    "socket",
    "subprocess",
    "docker",
    "redis",
    "etcd3aio",
}


def is_pure(module: Module) -> bool:
    if any(module.name.startswith(part) for part in IMPURE_PARTS):
        return False
    return any(module.name == pure or module.name.startswith(pure + ".") for pure in PURE)


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_distribution_imports_only_what_it_may(module: Module) -> None:
    allowed = MAY_IMPORT[module.package] | {module.package}
    foreign = {
        name
        for name in module.imported()
        if name.startswith("backendai.") and ".".join(name.split(".")[:2]) not in allowed
    }
    assert not foreign, f"{module.name} must not import {sorted(foreign)}"


@pytest.mark.parametrize("module", [*filter(is_pure, modules())], ids=lambda module: module.name)
def test_a_pure_module_imports_no_io(module: Module) -> None:
    found = {name.split(".")[0] for name in module.imported()} & IO_MODULES
    assert not found, f"{module.name} decides with values, so it must not import {sorted(found)}"


@pytest.mark.parametrize("pure", PURE)
def test_each_pure_part_exists(pure: str) -> None:
    assert any(module.name == pure or module.name.startswith(pure + ".") for module in modules())


def test_only_one_module_knows_opentelemetry() -> None:
    """It is an extra, and nobody else may need it."""
    knowing = [
        module.name
        for module in modules()
        if any(name.split(".")[0] == "opentelemetry" for name in module.imported())
    ]
    assert knowing == ["backendai.common.otlp"]
    importing = [module.name for module in modules() if knowing[0] in module.imported()]
    assert importing == ["backendai.common.tracing"]


def test_no_module_is_dead() -> None:
    imported = {name for module in modules() for name in module.imported()}
    started = {
        "backendai.client.cli",
        "backendai.manager.cli",
        "backendai.agent.cli",
        "backendai.storage.cli",
        "backendai.webserver.cli",
        "backendai.wsproxy.cli",
        "backendai.halfstack.cli",
    }
    dead = [
        module.name
        for module in modules()
        if module.name not in imported | started
        and not module.path.name.startswith("__")
        and "__main__" not in module.text
        and "migrations" not in module.name
        and not any(
            f"{module.name}:" in text
            or f"from {module.name} import" in text
            or f'"{module.name}"' in text
            for text in _texts()
        )
    ]
    assert not dead, f"nothing imports {dead}"


def _texts() -> list[str]:
    """Texts that name modules to start or to load lazily: entry points and command tables."""
    projects = [path for path in tracked_files() if path.name == "pyproject.toml"]
    generators = [ROOT / "tests/contract/generate.py"]
    return [module.text for module in modules()] + [
        path.read_text() for path in projects + generators
    ]
