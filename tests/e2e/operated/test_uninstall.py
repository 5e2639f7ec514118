"""What the install guide made goes by its last page, with the sessions and the accounts."""

from typing import Final

import pytest

from tests.e2e.operated.conftest import ONE_MACHINE, Machines, follow, know_image
from tests.e2e.operated.test_systemd import AS_ADMIN

pytestmark = pytest.mark.timeout(1500)

BACKUPS: Final = "/var/backups/backendai"
# Wheels were copied there by hand.
LEFT: Final = (
    "find / -xdev \\( -name '*backendai*' -o -name '*backend.ai*' \\) "
    "-not -path '/proc/*' -not -path '/root/*' -not -path '/tmp/*' -not -path '/var/log/*' "
    f"-not -path '{BACKUPS}*'"
)
ACCOUNTS: Final = "getent passwd backendai backendai-work || true"
BACKUP: Final = f"""
install -d -o backendai -g backendai -m 0700 {BACKUPS}
runuser -u backendai -- backendai mgr backup {BACKUPS}/last.tar.gz
"""
CREATE: Final = f"{AS_ADMIN} backendai session create --name last -r cpu=1 -r mem=256m"


def test_nothing_is_left_of_a_cluster(machines: Machines) -> None:
    with machines() as machine:
        follow(machine, *ONE_MACHINE)
        know_image(machine)
        machine.ok(CREATE)
        assert "bai" in machine.ok("iptables-save")
        machine.ok(BACKUP)
        follow(machine, "uninstall#")
        assert machine.ok(LEFT) == ""
        assert machine.ok(f"ls {BACKUPS}") == "last.tar.gz\n"
        assert machine.ok(ACCOUNTS) == ""
        assert "bai" not in machine.ok("iptables-save")
        assert machine.ok("systemctl list-units --all --plain --no-legend 'backendai*'") == ""
