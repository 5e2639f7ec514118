"""What a container needs to use its GPUs. PURE.

In mode docker NVIDIA's own runtime brings devices and libraries in; in mode process the device
files are there, and the libraries are those of the image. For fractions, variables ask NVIDIA's
MPS for the limits: they bind a program that runs under an MPS daemon and leaves them as they are.
"""

from collections.abc import Iterator, Sequence
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Final

from backendai.agent.resources.plugin import DeviceRequest, Limits, Mount, Piece

PIPE_TARGET: Final = "/run/nvidia-mps"
MIB: Final = 1 << 20


def make_limits(pieces: Sequence[Piece], mode: str, pipe_directory: Path | None) -> Limits:
    ids = tuple(piece.device.device_id for piece in pieces)
    fixed = {"NVIDIA_VISIBLE_DEVICES": ",".join(ids), **dict(mps_variables(pieces))}
    mounts: tuple[Mount, ...] = ()
    if pipe_directory is not None and any(piece.fraction < 1 for piece in pieces):
        fixed["CUDA_MPS_PIPE_DIRECTORY"] = PIPE_TARGET
        mounts = (Mount(str(pipe_directory), PIPE_TARGET),)
    is_docker = mode == "docker"
    request = DeviceRequest("nvidia", ids, ("compute", "utility"))
    return Limits(
        environ={"CUDA_VISIBLE_DEVICES": ",".join(ids)},
        fixed_environ=fixed,
        device_paths=()
        if is_docker
        else tuple(path for one in pieces for path in one.device.paths),
        mounts=mounts,
        device_requests=(request,) if is_docker else (),
    )


def mps_variables(pieces: Sequence[Piece]) -> Iterator[tuple[str, str]]:
    """MPS's limits for `pieces`, whose order is that of the devices inside.

    There is one percentage of threads for all devices of a program, so the smallest counts.
    """
    if all(piece.fraction == 1 for piece in pieces):
        return
    yield "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", str(min(map(_percent, pieces)))
    yield (
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT",
        ",".join(f"{index}={_mebibytes(piece)}M" for index, piece in enumerate(pieces)),
    )


def _percent(piece: Piece) -> int:
    return max(1, _floor(piece.fraction * 100))


def _mebibytes(piece: Piece) -> int:
    return max(1, _floor(piece.device.memory_bytes * piece.fraction / MIB))


def _floor(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_FLOOR))
