"""What can be wrong with asking for a circuit, beyond what every API may say."""

from backendai.common.faults import NotFound


class CircuitNotFound(NotFound):
    """None, or none of whoever asks."""

    code, object_name = "wsproxy.circuit_not_found", "app circuit"
