"""The services that a kernel offers: from its image's label, and ports asked open. PURE."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from backendai.common.contracts.agent import ServicePort
from backendai.common.enums import ServiceProtocol

SERVICE_PORTS_LABEL: Final = "ai.backend.service-ports"
PORT_MAX: Final = 65535
_SERVICE: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_-]{0,63}):(?P<protocol>[a-z]+):(?P<ports>\d{1,5}|\[[\d,\s]{1,99}\])",
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


def _read_label(text: str) -> Iterator[ServicePort]:
    for match in _SERVICE.finditer(text):
        ports = [int(word) for word in re.findall(r"\d+", match["ports"])]
        is_known = match["protocol"] in set(ServiceProtocol)
        if is_known and ports and all(0 < port <= PORT_MAX for port in ports):
            yield ServicePort(name=match["name"], protocol=match["protocol"], ports=ports)
