"""Devices that are made up, for tests and demonstrations: a TOML file says what there is.

The file is read again at each look, so that a device can be made sick or busy while kernels hold
it. What there is, and how it is given out, is read once.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import trafaret as t

from backendai.agent.resources.holds import write_hold
from backendai.agent.resources.plugin import (
    Context,
    Device,
    DeviceKey,
    Limits,
    NothingHere,
    Piece,
    Reading,
)
from backendai.agent.settings import MockSection
from backendai.common.slots import (
    SlotError,
    SlotName,
    format_amount,
    parse_count,
    parse_size,
    parse_slot_name,
)

DEVICES_MAX: Final = 256


class BadMockFile(ValueError):
    """A file that does not describe devices; the message names the file and each mistake."""


def open_mock(context: Context) -> "MockDriver":
    """The entry point. Raises NothingHere without a file in the settings."""
    settings = context.settings
    if not isinstance(settings, MockSection) or settings.file is None:
        raise NothingHere("[accelerators.mock] names no file")
    return MockDriver(settings.file)


@dataclass(frozen=True, slots=True)
class MockDriver:
    file: Path
    name: str = "mock"
    version: str = "1"

    def discover(self) -> Sequence[Device]:
        """Raises BadMockFile."""
        return [device for device, _ in self._read()]

    def measure(self) -> Mapping[DeviceKey, Reading]:
        return {device.key: reading for device, reading in self._read()}

    def limit(self, pieces: Sequence[Piece]) -> Limits:
        """Variables as a real driver gives them: `CUDA_VISIBLE_DEVICES` for slots `cuda.…`."""
        names: dict[str, list[str]] = {}
        for piece in pieces:
            names.setdefault(piece.device.slot.partition(".")[0].upper(), []).append(
                piece.device.device_id
            )
        environ = {f"{family}_VISIBLE_DEVICES": ",".join(ids) for family, ids in names.items()}
        environ["MOCK_HOLDS"] = ",".join(write_hold(piece) for piece in pieces)
        environ["MOCK_FRACTIONS"] = ",".join(format_amount(piece.fraction) for piece in pieces)
        paths = tuple(path for piece in pieces for path in piece.device.paths)
        return Limits(fixed_environ=environ, device_paths=paths)

    def _read(self) -> list[tuple[Device, Reading]]:
        try:
            document = tomllib.loads(self.file.read_text("utf-8"))
            tables = _FILE.check(document)["device"]
        except OSError as error:
            raise BadMockFile(f"cannot read {self.file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadMockFile(f"{self.file} is not TOML: {error}") from error
        except t.DataError as error:
            raise BadMockFile(f"{self.file}: {error.as_dict(value=True)}") from error
        made = [_make(table, number) for table in tables for number in range(table["count"])]
        if len(made) > DEVICES_MAX:
            raise BadMockFile(f"{self.file}: {len(made)} devices: at most {DEVICES_MAX}")
        return made


def _make(table: Mapping[str, Any], number: int) -> tuple[Device, Reading]:
    is_one = table["count"] == 1
    device = Device(
        device_id=table["id"] if is_one else f"{table['id']}-{number}",
        slot=table["slot"],
        model=table["model"],
        memory_bytes=table["memory"],
        numa_node=table["numa-node"],
        amount=table["amount"],
        quantum=table["quantum"],
        is_unique=table["unique"],
        paths=tuple(table["paths"]),
    )
    reading = Reading(
        problem=table["problem"],
        utilisation_percent=table["utilisation"],
        memory_used_bytes=table["memory-used"],
    )
    return device, reading


def _amount(value: object) -> Decimal:
    try:
        return parse_count(str(value))
    except SlotError as error:
        raise t.DataError(str(error)) from error


def _size(value: object) -> int:
    try:
        return int(parse_size(str(value)))
    except (SlotError, OverflowError) as error:
        raise t.DataError(str(error)) from error


def _slot(value: object) -> SlotName:
    try:
        return parse_slot_name(str(value))
    except SlotError as error:
        raise t.DataError(str(error)) from error


_DEVICE: Final = t.Dict(
    {
        t.Key("id", default="mock"): t.String(min_length=1, max_length=80),
        t.Key("count", default=1): t.ToInt(gte=1, lte=DEVICES_MAX),
        t.Key("slot", default="mock.device"): t.Call(_slot),
        t.Key("model", default="Mock"): t.String(max_length=80),
        t.Key("memory", default="0"): t.Call(_size),
        t.Key("numa-node", default=None): t.Null() | t.ToInt(gte=0, lte=1023),
        t.Key("amount", default="1"): t.Call(_amount),
        t.Key("quantum", default=None): t.Null() | t.Call(_amount),
        t.Key("unique", default=False): t.Bool(),
        t.Key("paths", default=[]): t.List(t.String(min_length=1)),
        t.Key("problem", default=""): t.String(allow_blank=True, max_length=200),
        t.Key("utilisation", default=None): t.Null() | t.ToFloat(gte=0, lte=100),
        t.Key("memory-used", default=None): t.Null() | t.Call(_size),
    }
)
_FILE: Final = t.Dict({t.Key("device"): t.List(_DEVICE, min_length=1)})
