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


def test_pages_are_told_of_a_provider_where_there_is_one() -> None:
    settings = check_settings(WebserverSettings, {}, "test")
    assert "oidcLogin" not in render_config("http://ui.example", settings)
    oidc = replace(settings.oidc, issuer="https://login.example", name='Kim "&" Lee')
    told = render_config("http://ui.example", replace(settings, oidc=oidc))
    # Our own pages read these two lines without a reader of TOML.
    assert 'oidcLogin = "/server/oidc/login"\n' in told
    assert 'oidcName = "Kim \\"&\\" Lee"\n' in told
