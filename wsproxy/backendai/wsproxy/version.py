"""Which release this is, as `GET /status` tells it."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("backendai-wsproxy")
