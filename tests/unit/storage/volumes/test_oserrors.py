import errno
import os

import pytest

from backendai.common.faults import Fault
from backendai.common.storage_faults import (
    PathExists,
    PathFault,
    PathLeadsOut,
    PathNotFound,
    StorageFull,
    VolumeFailed,
    VolumeUnavailable,
)
from backendai.storage.volumes.oserrors import fault_of


@pytest.mark.parametrize(
    ("code", "leaf", "status"),
    [
        (errno.EXDEV, PathLeadsOut, 400),
        (errno.ELOOP, PathLeadsOut, 400),
        (errno.ENOENT, PathNotFound, 404),
        (errno.EEXIST, PathExists, 400),
        (errno.ENOTEMPTY, PathFault, 400),
        (errno.ENOSPC, StorageFull, 507),
        (errno.EDQUOT, StorageFull, 507),
        (errno.ESTALE, VolumeUnavailable, 503),
        (errno.EIO, VolumeFailed, 500),
    ],
)
def test_an_errno_is_a_fault_with_words(code: int, leaf: type[Fault], status: int) -> None:
    fault = fault_of(OSError(code, "x", "a/b"), "local")
    assert type(fault) is leaf
    assert fault.http_status == status
    assert fault.detail.startswith("a/b: ")
    assert fault.facts["errno"] == code


def test_every_errno_is_a_fault_with_words() -> None:
    for code in errno.errorcode:
        fault = fault_of(OSError(code, "x"), "local")
        assert fault.detail
        assert fault.http_status in (400, 404, 500, 503, 507)


def test_paths_of_the_host_are_not_told() -> None:
    fault = fault_of(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/mnt/x"), "local")
    assert "/mnt" not in str(fault)
    assert fault.facts["paths"] == []
