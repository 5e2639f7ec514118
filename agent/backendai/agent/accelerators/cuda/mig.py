"""MIG: a GPU that its administrator has cut into instances. They are used as they are found."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from backendai.common.slots import SlotName

from .nvml import MIG_ENABLED, NOT_FOUND, Handle, Nvml, as_text, code_of

MINORS_FILE: Final = Path("/proc/driver/nvidia-caps/mig-minors")
_PROFILE: Final = re.compile(r"MIG (\S+)\s*$")
_REFUSED: Final = re.compile(r"[^a-z0-9.]+")


def is_cut(nvml: Nvml, handle: Handle) -> bool:
    """Whether MIG is on, which makes the GPU itself unusable as a whole."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        # GPUs without MIG say so by an error; one that is lost shows it at its next look.
        return False
    return current == MIG_ENABLED


def list_instances(nvml: Nvml, handle: Handle) -> Iterator[Handle]:
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError as error:
            if code_of(error) != NOT_FOUND:
                raise


def slot_of(nvml: Nvml, instance: Handle) -> SlotName:
    """`cuda.mig-1g.10gb`, of a name that ends in `MIG 1g.10gb`."""
    name = as_text(nvml.nvmlDeviceGetName(instance))
    match = _PROFILE.search(name)
    profile = match[1].lower() if match else "instance"
    return SlotName(f"cuda.mig-{_REFUSED.sub('-', profile).strip('-.')}")


def device_files(
    nvml: Nvml, instance: Handle, minor: int, minors_file: Path = MINORS_FILE
) -> tuple[str, ...]:
    """The files that open the instance, beside those of the GPU with number `minor`."""
    gpu = nvml.nvmlDeviceGetGpuInstanceId(instance)
    compute = nvml.nvmlDeviceGetComputeInstanceId(instance)
    wanted = (f"gpu{minor}/gi{gpu}/access", f"gpu{minor}/gi{gpu}/ci{compute}/access")
    try:
        lines = [line.split() for line in minors_file.read_text().splitlines()]
    except OSError:
        return ()
    numbers = {words[0]: words[1] for words in lines if len(words) == 2}
    return tuple(
        f"/dev/nvidia-caps/nvidia-cap{numbers[name]}" for name in wanted if name in numbers
    )
