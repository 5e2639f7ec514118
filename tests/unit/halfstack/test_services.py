"""A service as data: it survives its journey over the socket, and the stop order is right."""

import itertools
import json
from dataclasses import replace

import pytest

from backendai.halfstack.services import (
    Probe,
    Service,
    decode_services,
    encode_services,
    order_to_stop,
)

_SERVICE = Service(
    "dockerd",
    ("dockerd", "--config-file", "x"),
    Probe("http", "/run/docker.sock", path="/_ping"),
    {"A": "1"},
    after=("containerd",),
    wrapper=("unshare", "--user"),
)


def test_services_survive_json() -> None:
    text = json.dumps(encode_services([_SERVICE]))
    assert decode_services(json.loads(text)) == (_SERVICE,)


@pytest.mark.parametrize(
    "changed",
    [
        replace(_SERVICE, argv=("dockerd",)),
        replace(_SERVICE, env={"A": "2"}),
        replace(_SERVICE, cwd="/tmp"),
        replace(_SERVICE, wrapper=()),
    ],
)
def test_what_needs_a_restart_changes_the_digest(changed: Service) -> None:
    assert changed.digest != _SERVICE.digest


def test_a_new_probe_needs_no_restart() -> None:
    assert replace(_SERVICE, probe=Probe("tcp", "h", 1)).digest == _SERVICE.digest


def test_dependents_are_stopped_first() -> None:
    services = [
        Service("manager", ("m",), after=("postgres", "etcd")),
        Service("agent", ("a",), after=("etcd", "dockerd")),
        Service("dockerd", ("d",), after=("containerd",)),
        *[Service(name, ("x",)) for name in ("postgres", "etcd", "containerd")],
    ]
    for order in itertools.permutations(services):
        waves = order_to_stop(order)
        place = {name: index for index, wave in enumerate(waves) for name in wave}
        assert all(place[one.name] < place[need] for one in services for need in one.after)


def test_a_circle_is_stopped_all_the_same() -> None:
    circle = [Service("a", ("x",), after=("b",)), Service("b", ("x",), after=("a",))]
    assert order_to_stop(circle) == [["a", "b"]]


def test_what_is_needed_from_outside_does_not_matter() -> None:
    assert order_to_stop([Service("a", ("x",), after=("not-ours",))]) == [["a"]]
