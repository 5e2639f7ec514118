"""What apps a kernel offers: by its image, by the session, by what its runner has. PURE."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from backendai.common.contracts.agent import ServicePort
from backendai.common.enums import ServiceProtocol
from backendai.common.tickets import APP_PATTERN
from backendai.kernel.wire import AppEntry, DeclaredApp

SERVICE_PORTS_LABEL: Final = "ai.backend.service-ports"
PORT_MAX: Final = 65535
APPS_MAX: Final = 128
PORTS_PER_APP_MAX: Final = 32
_SERVICE: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_-]{0,63}):(?P<protocol>[a-z]+):(?P<ports>\d{1,5}|\[[\d,|\s]{1,99}\])",
    re.ASCII,
)


def list_service_ports(labels: Mapping[str, str], preopen: Iterable[int]) -> list[ServicePort]:
    """`jupyter:http:8080,vnc:tcp:[5900,5901]` and ports that the session opens itself.

    A part of the label that cannot be read offers nothing: an image must not stop its kernel.
    """
    services = {one.name: one for one in _read_label(labels.get(SERVICE_PORTS_LABEL, ""))}
    for port in preopen:
        if 0 < port <= PORT_MAX:
            name = str(port)
            services[name] = ServicePort(
                name=name, protocol=ServiceProtocol.PREOPEN.value, ports=[port]
            )
    return list(services.values())


def declare(services: Iterable[ServicePort]) -> list[DeclaredApp]:
    """The same in the words of the runner's setup."""
    return [DeclaredApp(name=one.name, protocol=one.protocol, ports=one.ports) for one in services]


def read_offered(apps: Iterable[AppEntry]) -> list[ServicePort]:
    """What a runner says that it offers, without what makes no sense: nobody vouches for it."""
    offered = {
        app.name: ServicePort(name=app.name, protocol=app.protocol, ports=app.ports)
        for app in apps
        if re.match(APP_PATTERN, app.name) and is_sound(app.protocol, app.ports)
    }
    return list(offered.values())[:APPS_MAX]


def is_sound(protocol: str, ports: Iterable[int]) -> bool:
    """Whether this can be told to anybody."""
    numbers = list(ports)
    are_ports = all(0 < port <= PORT_MAX for port in numbers)
    return protocol in set(ServiceProtocol) and are_ports and len(numbers) <= PORTS_PER_APP_MAX


def _read_label(text: str) -> Iterator[ServicePort]:
    for match in _SERVICE.finditer(text):
        ports = [int(word) for word in re.findall(r"\d+", match["ports"])]
        is_known = match["protocol"] in set(ServiceProtocol)
        if is_known and ports and all(0 < port <= PORT_MAX for port in ports):
            yield ServicePort(name=match["name"], protocol=match["protocol"], ports=ports)
