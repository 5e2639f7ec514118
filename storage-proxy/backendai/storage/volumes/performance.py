"""What the disks below a volume have done since the machine started, as the kernel counts it."""

import os
from pathlib import Path
from typing import Final

from .volume import Performance

_SECTOR_BYTES: Final = 512
_NOTHING: Final = Performance(0, 0, 0, 0, 0, 0)


def read_performance(device: int, path: Path) -> Performance:
    """Of the disk with number `device`; of the NFS mount at `path` where there is no disk.

    All zero for what is neither, such as memory or an overlay. Blocks.
    """
    try:
        text = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text()
    except OSError:
        return parse_mountstats(_mountstats(), os.path.realpath(path))
    return parse_block_stat(text)


def parse_block_stat(text: str) -> Performance:
    """Of Documentation/block/stat.rst: requests, merges, sectors and milliseconds, read first."""
    numbers = [int(word) for word in text.split()]
    return Performance(
        iops_read=numbers[0],
        iops_write=numbers[4],
        io_bytes_read=numbers[2] * _SECTOR_BYTES,
        io_bytes_write=numbers[6] * _SECTOR_BYTES,
        io_usec_read=numbers[3] * 1000,
        io_usec_write=numbers[7] * 1000,
    )


def parse_mountstats(text: str, mount: str) -> Performance:
    """Of the NFS mount at `mount`: `READ:` and `WRITE:` count operations, bytes and time."""
    lines: dict[str, list[int]] = {}
    is_ours = False
    for line in text.splitlines():
        words = line.split()
        if line.startswith("device "):
            is_ours = f" mounted on {mount} with fstype nfs" in line
        elif is_ours and words and words[0] in ("READ:", "WRITE:"):
            lines[words[0]] = [int(word) for word in words[1:]]
    if len(lines) != 2:
        return _NOTHING
    read, write = lines["READ:"], lines["WRITE:"]
    return Performance(
        iops_read=read[0],
        iops_write=write[0],
        io_bytes_read=read[4],
        io_bytes_write=write[3],
        io_usec_read=read[7] * 1000,
        io_usec_write=write[7] * 1000,
    )


def _mountstats() -> str:
    try:
        return Path("/proc/self/mountstats").read_text("utf-8", "replace")
    except OSError:
        return ""
