"""SDK of the platform: `Client` (async) and `SyncClient`, and the `backendai` command in `cli`.

Names are loaded when first used: the command must not pay for what it does not need.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backendai.client.blocking import SyncClient
    from backendai.client.client import Client
    from backendai.client.config import Config
    from backendai.client.results import Batch, Result

__all__ = ["Batch", "Client", "Config", "Result", "SyncClient"]

_MODULES = {
    "Batch": "results",
    "Client": "client",
    "Config": "config",
    "Result": "results",
    "SyncClient": "blocking",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
