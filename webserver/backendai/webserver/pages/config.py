"""`/config.toml`: what pages are told of this installation. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from backendai.common.settings.render import render_toml

from ..settings import WebserverSettings

# Where the button of a provider leads.
OIDC_LOGIN: Final = "/server/oidc/login"

_GENERAL: Final[Mapping[str, Any]] = {
    "connectionMode": "SESSION",
    "signupSupport": False,
    "allowChangeSigninMode": False,
    "allowAnonymousChangePassword": True,
    "allowProjectResourceMonitor": False,
    "allowManualImageNameForSession": True,
    "allowSignupWithoutConfirmation": False,
    "alwaysEnqueueComputeSession": True,
    "autoLogout": False,
    "debug": False,
    "maskUserInfo": False,
    "enableContainerCommit": True,
    "hideAgents": False,
    "allowAppDownloadPanel": False,
    "enable2FA": True,
    "force2FA": False,
    "directoryBasedUsage": False,
    "maxCountForPreopenPorts": 10,
    "allowCustomResourceAllocation": True,
    "isDirectorySizeVisible": True,
}
_RESOURCES: Final[Mapping[str, Any]] = {
    "openPortToPublic": False,
    "allowPreferredPort": False,
    "maxCPUCoresPerContainer": 64,
    "maxMemoryPerContainer": 64,
    "maxCUDADevicesPerContainer": 16,
    "maxCUDASharesPerContainer": 16,
    "maxROCMDevicesPerContainer": 10,
    "maxTPUDevicesPerContainer": 8,
    "maxIPUDevicesPerContainer": 8,
    "maxATOMDevicesPerContainer": 8,
    "maxWarboyDevicesPerContainer": 8,
    "maxShmPerContainer": 2.0,
    "maxFileUploadSize": 1 << 40,
}


def render_config(endpoint: str, settings: WebserverSettings) -> str:
    """The configuration for a browser that came by `endpoint`.

    Nothing in it is empty: the reader of TOML in the UIs of 23.09 takes `""` for two quotes, and
    `[]` for the beginning of whatever follows.
    """
    ui = settings.ui
    own = {"apiEndpoint": endpoint, "apiEndpointText": settings.api.text}
    if settings.oidc.issuer is not None:
        own |= {"oidcLogin": OIDC_LOGIN, "oidcName": settings.oidc.name}
    sections: dict[str, Mapping[str, Any]] = {
        "general": {**own, **_GENERAL, **ui.general},
        "resources": {**_RESOURCES, **ui.resources},
        "environments": ui.environments,
        "menu": ui.menu,
        "plugin": ui.plugin,
        "wsproxy": ui.wsproxy,
        "license": {"edition": "Open Source", **ui.license},
        "pipeline": ui.pipeline,
    }
    return render_toml({name: _filled(values) for name, values in sections.items()})


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", (), [], None)}
