"""The file of the app proxy that `up` writes is one that it reads, with the manager's secret."""

from pathlib import Path

from backendai.common.settings.load import load_settings
from backendai.halfstack.daemons import Core, write_manager_config
from backendai.halfstack.places import Layout
from backendai.halfstack.stores import StoreAddresses
from backendai.halfstack.wsproxy import AppProxy, specify_app_proxy, write_app_proxy_config
from backendai.manager.settings import ManagerSettings
from backendai.wsproxy.settings import WsproxySettings

_ADDRESSES = StoreAddresses(
    "postgresql://u:a-password@10.0.0.1:5433/db", "redis://10.0.0.2:6380", "e:1"
)


def test_the_app_proxy_shares_the_managers_secret(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    write_manager_config(Core(layout, _ADDRESSES, 8081, 9181))
    proxy = AppProxy(layout, _ADDRESSES, 5050, 9185)
    write_app_proxy_config(proxy)
    manager = load_settings(ManagerSettings, "manager", layout.etc / "manager.toml", environ={})
    settings = load_settings(WsproxySettings, "wsproxy", layout.etc / "wsproxy.toml", environ={})
    assert settings.relay.secret_key_file == manager.relay.secret_key_file
    assert (settings.db.addr.port, settings.db.user) == (5433, "u")
    assert str(settings.wsproxy.service_addr) == "127.0.0.1:5050"
    service = specify_app_proxy(proxy, ("postgres", "redis"))
    assert (service.after, service.address) == (("postgres",), "http://127.0.0.1:5050")
