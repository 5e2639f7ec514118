from typing import Any

import pytest

from backendai.common.settings.load import BadSettings, check_settings
from backendai.storage.settings import StorageSettings
from backendai.storage.volumes.load import open_volumes

SECRET = "a-secret-that-is-long"


def check(**changes: Any) -> StorageSettings:
    data: dict[str, Any] = {
        "storage-proxy": {"secret": SECRET},
        "api": {"manager": {"secret": SECRET}},
        "volume": {"one": {"path": "/mnt/one"}},
    }
    return check_settings(StorageSettings, data | changes, "test", environ={})


def test_defaults_of_a_volume() -> None:
    volume = check().volume["one"]
    assert (volume.backend, volume.mount) == ("vfs", False)


def test_there_is_no_secret_by_default() -> None:
    with pytest.raises(BadSettings) as caught:
        check_settings(StorageSettings, {}, "test", environ={})
    keys = {mistake["key"] for mistake in caught.value.facts["mistakes"]}
    assert keys == {"volume", "storage-proxy.secret", "api.manager.secret"}
    for bad in ("", "short", "changeme"):
        with pytest.raises(BadSettings):
            check(**{"storage-proxy": {"secret": bad}})


def test_mistakes_in_a_volume_are_told_with_their_keys() -> None:
    with pytest.raises(BadSettings) as caught:
        check(volume={"one": {"pat": "/x", "mount": 7}})
    keys = {mistake["key"] for mistake in caught.value.facts["mistakes"]}
    assert {"volume.one.path", "volume.one.pat", "volume.one.mount"} <= keys


def test_an_unknown_backend_names_those_that_are_installed() -> None:
    settings = check(volume={"one": {"path": "/mnt/one", "backend": "tape"}})
    with pytest.raises(Exception, match="vfs, xfs"):
        open_volumes(settings)
