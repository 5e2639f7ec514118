"""What the body of a create becomes, and how each fault of it is told."""

from datetime import UTC, datetime

import pytest

from backendai.common.faults import InvalidParams
from backendai.manager.sessions.mounts import MountWish
from backendai.manager.sessions.params import read_session_request
from backendai.manager.vfolders.model import Permission

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_all_faults_are_told_at_once_by_their_paths() -> None:
    body = {
        "image": 5,
        "cluster_size": 0,
        "config": {"mounts": "a", "environ": {"A B": "1"}, "resources": {"cpu": 1}},
    }
    with pytest.raises(InvalidParams) as caught:
        read_session_request(body, NOW)
    assert sorted(caught.value.facts) == [
        "clusterSize",
        "config.environ",
        "config.mounts",
        "image",
        "name",
    ]
    assert all(isinstance(message, str) for message in caught.value.facts.values())


def test_other_spellings_mean_the_same() -> None:
    body = {"session_name": "demo", "lang": "python:3.11", "clusterSize": None, "reuse": True}
    request = read_session_request(body, NOW)
    assert (request.name, request.image, request.cluster_size, request.reuse) == (
        "demo",
        "python:3.11",
        1,
        True,
    )


def test_folders_are_read_in_every_form() -> None:
    config = {
        "mounts": ["data", "models/v1", "data"],
        "mountMap": {"data": "/mnt/data"},
        "mount_ids": ["6f1d8a9e-0b7c-4ba2-8a2c-0f5e1f1c2d3e"],
        "mount_options": {"data": {"type": "bind", "permission": "ro"}, "models/v1": None},
    }
    wanted = read_session_request({"name": "demo", "image": "busybox:1", "config": config}, NOW)
    assert wanted.mounts == (
        MountWish("data", "data", target="/mnt/data", permission=Permission.READ_ONLY),
        MountWish("models/v1", "models", "v1"),
        MountWish("6f1d8a9e-0b7c-4ba2-8a2c-0f5e1f1c2d3e", "6f1d8a9e-0b7c-4ba2-8a2c-0f5e1f1c2d3e"),
    )


def test_all_faults_of_folders_are_told_at_once() -> None:
    config = {
        "mounts": ["data", "/x", "up/../.."],
        "mount_map": {"code": "/etc/x", "data": "sub"},
        "mount_options": {"data": {"permission": "rwx"}, "other": {}},
    }
    with pytest.raises(InvalidParams) as caught:
        read_session_request({"name": "demo", "image": "busybox:1", "config": config}, NOW)
    assert sorted(caught.value.facts) == [
        "config.mount_options.other",
        "config.mounts./x",
        "config.mounts.code",
        "config.mounts.data",
        "config.mounts.up/../..",
    ]
