"""How a settings tree is written: frozen classes whose fields carry check, description and unit.

    @settings
    class EtcdSettings:
        namespace: str = setting(text(), "Prefix of all keys", default="local")

The Python type is what mypy sees; the check makes that type from what TOML holds.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar, dataclass_transform

import trafaret as t

T = TypeVar("T")
_SETTING: Final = "setting"
_SECTION: Final = "section"


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Check:
    """A trafaret, and in words what it allows. Values of a secret are never shown."""

    trafaret: t.Trafaret
    allowed: str
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One field as its readers see it: `key` is the TOML key."""

    name: str
    key: str
    check: Check
    doc: str
    unit: str
    default: Any
    env: str
    example: Any

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    key: str
    tree: type[Any]


def setting(
    check: Check,
    doc: str,
    *,
    default: Any = REQUIRED,
    unit: str = "",
    env: str = "",
    example: Any = None,
) -> Any:
    """A field of a settings class. `env` names the variable that overrides it: secrets only."""
    if env and not check.is_secret:
        raise TypeError(f"{env}: only secrets come from the environment")
    metadata = {_SETTING: (check, doc, unit, default, env, example)}
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default_factory=lambda: default, metadata=metadata)


def section(tree: type[T]) -> T:
    """A field that holds another settings class, a table in TOML."""
    return dataclasses.field(default_factory=tree, metadata={_SECTION: tree})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting, section))
def settings(cls: type[T]) -> type[T]:
    """Make a class a settings class: frozen, keyword-only."""
    return dataclass(frozen=True, kw_only=True, slots=True)(cls)


def key_of(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def entries(tree: type[Any]) -> Iterator[Setting | Section]:
    """The fields of a settings class in written order."""
    for field in dataclasses.fields(tree):
        if _SECTION in field.metadata:
            yield Section(field.name, key_of(field.name), field.metadata[_SECTION])
        else:
            yield Setting(field.name, key_of(field.name), *field.metadata[_SETTING])


def secret_values(tree: Any) -> Iterator[str]:
    """Every secret that an instance of a settings class holds."""
    for entry in entries(type(tree)):
        value = getattr(tree, entry.name)
        if isinstance(entry, Section):
            yield from secret_values(value)
        elif entry.check.is_secret and value:
            yield str(value)
