"""Devices from a file: what there is, how it is, and every mistake in the file."""

from decimal import Decimal
from pathlib import Path

import pytest

from backendai.agent.accelerators.mock import BadMockFile, MockDriver, open_mock
from backendai.agent.resources.devices import DevicePlugin
from backendai.agent.resources.plugin import Context, NothingHere, Piece
from backendai.agent.settings import MockSection
from backendai.common.slots import ResourceSlots

PAGE = Path(__file__).parents[4] / "docs" / "operating" / "accelerators.md"
TEXT = """
[[device]]
id = "gpu"
count = 2
slot = "cuda.shares"
model = "Mock 80G"
memory = "80g"
numa-node = 1
quantum = "0.25"
utilisation = 12.5
memory-used = "1g"

[[device]]
slot = "mock.device"
paths = ["/dev/null"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mock.toml"
    path.write_text(TEXT)
    return path


def test_the_file_says_what_there_is(file: Path) -> None:
    driver = open_mock(Context("process", MockSection(file=file)))
    first, second, third = driver.discover()
    assert (first.device_id, second.device_id, third.device_id) == ("gpu-0", "gpu-1", "mock")
    assert first.memory_bytes == 80 * 2**30
    assert (first.numa_node, first.quantum) == (1, Decimal("0.25"))
    assert third.quantum is None
    capacity = DevicePlugin.of(driver).capacity()
    assert capacity == ResourceSlots.parse({"cuda.shares": "2", "mock.device": "1"})


def test_the_file_is_read_again_at_each_look(file: Path) -> None:
    driver = MockDriver(file)
    key = ("cuda.shares", "gpu-0")
    assert driver.measure()[key].utilisation_percent == 12.5
    assert driver.measure()[key].memory_used_bytes == 2**30
    file.write_text(TEXT.replace('quantum = "0.25"', 'quantum = "0.25"\nproblem = "XID 79"'))
    assert driver.measure()[key].problem == "XID 79"
    file.unlink()
    with pytest.raises(BadMockFile, match="cannot read"):
        driver.measure()


def test_a_container_is_told_what_it_has(file: Path) -> None:
    driver = MockDriver(file)
    first, _, third = driver.discover()
    limits = driver.limit([Piece(first, Decimal("0.5")), Piece(third, Decimal(1))])
    assert limits.fixed_environ == {
        "CUDA_VISIBLE_DEVICES": "gpu-0",
        "MOCK_VISIBLE_DEVICES": "mock",
        "MOCK_HOLDS": "gpu-0=0.5,mock",
        "MOCK_FRACTIONS": "0.5,1",
    }
    assert limits.device_paths == ("/dev/null",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "device"),
        ("device = 1", "device"),
        ("[[device]]\nsize = 1", "size"),
        ('[[device]]\nslot = "A!"', "no slot name"),
        ('[[device]]\nmemory = "much"', "no size"),
        ('[[device]]\nmemory = "inf"', "memory"),
        ('[[device]]\nquantum = "-1"', "no amount"),
        ("[[device]]\nutilisation = 101", "utilisation"),
        ("[[device]]\ncount = 200\n[[device]]\ncount = 200", "at most 256"),
        ("[[device", "not TOML"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mock.toml"
    path.write_text(text)
    with pytest.raises(BadMockFile, match=words) as caught:
        MockDriver(path).discover()
    assert str(path) in str(caught.value)


def test_without_a_file_there_is_nothing() -> None:
    with pytest.raises(NothingHere):
        open_mock(Context("docker", MockSection()))


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    path = tmp_path / "mock.toml"
    path.write_text(PAGE.read_text().partition("```toml\n")[2].partition("```")[0])
    plugin = DevicePlugin.of(MockDriver(path))
    assert plugin.capacity() == ResourceSlots.parse({"cuda.shares": "4"})
    assert plugin.measure()[("cuda.shares", "gpu-3")].utilisation_percent == 35.0
