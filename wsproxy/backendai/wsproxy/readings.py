"""Who is there, in Prometheus' terms."""

from backendai.common.metrics import Family, Reading, counter, gauge

from .traffic.house import ENDS, House


def reading_of(house: House) -> Reading:
    async def read() -> list[Family]:
        return [
            gauge("circuits_in_use", "Circuits with connections", [], [([], len(house.circuits))]),
            gauge("app_connections", "Of browsers and clients", [], [([], len(house.guests))]),
            gauge("app_connections_max", "The limit", [], [([], house.limits.connections)]),
            counter(
                "app_requests",
                "To apps, by how they ended",
                ["end"],
                [([end], house.ends[end]) for end in ENDS],
            ),
        ]

    return read
