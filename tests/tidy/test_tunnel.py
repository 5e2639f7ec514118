"""The tunnel that the install guide has people open leads to every port that their browser asks."""

import re
import subprocess
from typing import Final

from backendai.storage.settings import ClientListener
from backendai.webserver.settings import WebserverSection
from backendai.wsproxy.settings import WsproxySection, parse_ports
from tests.tidy.tree import ROOT

PAGE: Final = ROOT / "docs/operating/install/webserver.md"
# In place of the program, what it would be told.
SHOW: Final = """ssh() { printf '%s\\n' "$@"; }\n"""


def test_the_tunnel_leads_to_every_port_that_a_browser_asks() -> None:
    found = re.search(r"^```\n(ssh .*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, "the page has no tunnel"
    done = subprocess.run(
        ["/bin/sh", "-euc", SHOW + found[1]], check=True, capture_output=True, text=True
    )
    *words, target = done.stdout.split()
    proxy = WsproxySection()
    own = (WebserverSection().service_addr, ClientListener().service_addr, proxy.service_addr)
    ports = [*(address.port for address in own), *parse_ports(proxy.bind_ports)]
    assert words[::2] == ["-L"] * len(ports)
    assert sorted(words[1::2]) == sorted(f"{port}:127.0.0.1:{port}" for port in ports)
    assert target == "root@this-machine"
