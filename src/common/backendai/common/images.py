"""What the name of an image tells."""

from typing import Final

# Images that sessions were committed to have these names alone, so that none hides another image.
CUSTOM_PREFIX: Final = "custom/"


def is_custom(name: str) -> bool:
    return name.startswith(CUSTOM_PREFIX)
