"""Services of a kernel, as its image and its session name them."""

import pytest

from backendai.agent.ports import SERVICE_PORTS_LABEL, list_service_ports
from backendai.common.contracts.agent import ServicePort


def port(name: str, protocol: str, *ports: int) -> ServicePort:
    return ServicePort(name=name, protocol=protocol, ports=list(ports))


def test_services_of_the_image_and_of_the_session() -> None:
    label = {SERVICE_PORTS_LABEL: "jupyter:http:8080, vnc:tcp:[5900, 5901]"}
    assert list_service_ports(label, [9000]) == [
        port("jupyter", "http", 8080),
        port("vnc", "tcp", 5900, 5901),
        port("9000", "preopen", 9000),
    ]


def test_ports_may_be_apart_by_a_bar() -> None:
    label = {SERVICE_PORTS_LABEL: "vnc:tcp:[5900|5901],web:http:[80]"}
    assert list_service_ports(label, []) == [
        port("vnc", "tcp", 5900, 5901),
        port("web", "http", 80),
    ]


@pytest.mark.parametrize(
    "label", ["", "jupyter", "a:http:0", "a:http:99999", "a:gopher:1", "a:tcp:[]"]
)
def test_a_label_that_makes_no_sense_offers_nothing(label: str) -> None:
    assert list_service_ports({SERVICE_PORTS_LABEL: label}, [0, 70000]) == []
