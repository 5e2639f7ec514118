"""The hosts of the rig as one Docker Swarm, and what of sessions is in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors

from tests.hosts.host import Host
from tests.hosts.rig import Rig
from tests.running.waiting import until

NETWORK_LABEL = "bai.cluster-network"


@contextmanager
def run_swarm(rig: Rig) -> Iterator[None]:
    """The first host manages it, the others are workers, as the documents tell it."""
    first, *others = rig.hosts
    with first.engine() as client:
        client.swarm.init(advertise_addr=first.address)
        token = client.swarm.attrs["JoinTokens"]["Worker"]
    for host in others:
        with host.engine() as client:
            client.swarm.join(remote_addrs=[first.address], join_token=token)
    try:
        yield
    finally:
        for host in (*others, first):
            leave(host)


def leave(host: Host) -> None:
    with host.engine() as client:
        try:
            client.swarm.leave(force=True)
        except docker.errors.APIError as error:
            if "not part of a swarm" not in str(error):
                raise


def list_networks(host: Host) -> list[str]:
    """Of sessions, in the swarm that the host manages."""
    with host.engine() as client:
        filters = {"scope": ["swarm"], "label": [NETWORK_LABEL]}
        return sorted(one["Name"] for one in client.api.networks(filters=filters))


def list_bridges(host: Host) -> list[str]:
    """Of sessions of several kernels, on one host."""
    with host.engine() as client:
        found = client.api.networks(filters={"label": ["bai.network"]})
        return sorted(name for one in found if (name := one["Labels"]["bai.network"]))


def await_clean(rig: Rig) -> None:
    """Nothing of a session over several nodes is left."""
    until(lambda: not list_networks(rig.hosts[0]), "no network is left in the swarm")
    until(lambda: not any(list_bridges(host) for host in rig.hosts), "no bridge is left")
