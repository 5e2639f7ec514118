"""Requests and answers on their way through the app proxy."""

from tests.integration.wsproxy.conftest import Cluster
from tests.running.wsproxy import Target, WsproxyDaemon


def test_a_browser_with_a_permit_reaches_the_app(daemon: WsproxyDaemon, target: Target) -> None:
    browser = daemon.open(target)
    answer = browser.ask("GET", "/lab?x=1")
    assert answer.status == 200, answer
    assert answer.json()["request"] == "GET /lab?x=1 HTTP/1.1"
    assert ["Host", browser.host] in answer.json()["headers"]


def test_without_a_permit_nobody_reaches_it(
    daemon: WsproxyDaemon, cluster: Cluster, target: Target
) -> None:
    browser = daemon.open(target)
    cluster.app.heads.clear()
    browser.cookie = ""
    assert browser.ask("GET", "/").status == 401
    assert not cluster.app.heads
