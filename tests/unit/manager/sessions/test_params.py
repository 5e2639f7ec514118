"""What the body of a create becomes, and how each fault of it is told."""

from datetime import UTC, datetime

import pytest

from backendai.common.faults import InvalidParams
from backendai.manager.sessions.params import read_session_request

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
