"""Settings of alerts that would tell nobody."""

from dataclasses import replace
from typing import Any

import pytest

from backendai.common.faults import ServerMisconfigured
from backendai.common.settings.checks import HostPort
from backendai.manager.alerts.assembly import make_mailer
from backendai.manager.settings import AlertSettings

ADDRESS = HostPort("mail.example.com", 587)
WHOM = ("ops@example.com",)


@pytest.mark.parametrize(
    ("half", "lacking"),
    [({"mail_to": WHOM}, "smtp-addr"), ({"smtp_addr": ADDRESS}, "mail-to")],
)
def test_mail_without_a_server_or_for_nobody_is_refused(half: dict[str, Any], lacking: str) -> None:
    with pytest.raises(ServerMisconfigured, match=f"mail-to and smtp-addr.*: {lacking} is not set"):
        make_mailer(replace(AlertSettings(), **half))


def test_mail_needs_both_or_none() -> None:
    assert make_mailer(AlertSettings()) is None
    assert make_mailer(AlertSettings(mail_to=WHOM, smtp_addr=ADDRESS)) is not None
