"""What pages are told: in a form that the readers of older UIs take rightly."""

import tomllib
from dataclasses import replace

from backendai.common.settings.load import check_settings
from backendai.webserver.pages.config import render_config
from backendai.webserver.settings import WebserverSettings


def test_nothing_in_it_is_empty() -> None:
    settings = check_settings(WebserverSettings, {}, "test")
    general = {"siteDescription": "", "singleSignOnVendors": [], "ssoRealmName": "ours"}
    ui = replace(settings.ui, general=general)
    told = tomllib.loads(render_config("http://ui.example:8090", replace(settings, ui=ui)))
    assert told["general"]["apiEndpoint"] == "http://ui.example:8090"
    assert told["general"]["ssoRealmName"] == "ours"
    values = [value for section in told.values() for value in section.values()]
    assert all(value not in ("", []) for value in values)
