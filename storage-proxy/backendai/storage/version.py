"""Which release this is, as both listeners tell it."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("backendai-storage-proxy")
