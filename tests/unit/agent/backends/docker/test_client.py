"""What the engine says, as faults: refused, missing, or away."""

import docker
import pytest
import requests

from backendai.agent.backends.docker.client import translate_error
from backendai.agent.faults import (
    ContainerMissing,
    ContainerSpoiled,
    EngineRefused,
    EngineUnreachable,
)


def engine_says(status: int, words: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("refused", response=response, explanation=words)


@pytest.mark.parametrize(
    "words",
    [
        "transport is closing: unavailable",
        'connection error: desc = "transport: error while dialing: dial unix: unavailable',
        "rpc error: code = Unavailable desc = error reading from server: EOF",
    ],
)
def test_an_engine_without_its_containerd_is_away_and_refuses_nothing(words: str) -> None:
    fault = translate_error(engine_says(500, words))
    assert isinstance(fault, EngineUnreachable)
    assert fault.kind.retryable


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "no such device"), (400, "invalid mount: transport is closing"), (409, "name taken")],
)
def test_everything_else_is_a_refusal_in_the_engines_own_words(status: int, words: str) -> None:
    fault = translate_error(engine_says(status, words))
    assert isinstance(fault, EngineRefused)
    assert fault.detail == words


@pytest.mark.parametrize(
    "words",
    [
        "AlreadyExists: task 1f2e: already exists: unknown",
        "failed to start shim: mkdir /run/c/io.containerd.runtime.v2.task/moby/5f: file exists",
    ],
)
def test_a_container_left_half_started_may_be_tried_anew(words: str) -> None:
    fault = translate_error(engine_says(500, words))
    assert isinstance(fault, ContainerSpoiled)
    assert fault.kind.retryable


def test_a_missing_container_is_told_as_such() -> None:
    response = requests.Response()
    response.status_code = 404
    error = docker.errors.NotFound("gone", response=response, explanation="No such container")
    assert isinstance(translate_error(error), ContainerMissing)


def test_no_answer_at_all_is_away() -> None:
    assert isinstance(translate_error(requests.exceptions.ReadTimeout("slow")), EngineUnreachable)
