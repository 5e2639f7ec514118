"""What the page of settings writes is what managers read."""

import re

from backendai.manager.accounts.logins import PASSWORD_DAYS_KEY, SIGN_UP_KEY
from backendai.manager.config.cluster import CONFIG_PREFIX, PROJECT_USE_KEY
from backendai.manager.idle.model import Checker
from backendai.manager.idle.rules import GRACE_DEFAULT, RULES_PATH, WINDOW_DEFAULT, read_rules
from backendai.manager.vfolders.volumes import Ownership, read_config
from tests.tidy.tree import ROOT

TEXT = (ROOT / "webserver/ui/src/api/settings.ts").read_text()


def keys_of_the_page() -> set[str]:
    words = dict(re.findall(r"const (\w+) = [`'](.*)[`']\n", TEXT))
    words["USE"] = words["USE"].replace("${IDLE}", words["IDLE"])
    found = re.findall(r"key: [`'](.*?)[`']", TEXT)
    return {re.sub(r"\$\{(\w+)\}", lambda m: words.get(m[1], "mem"), key) for key in found}


def test_every_key_is_one_that_is_read() -> None:
    below = f"{CONFIG_PREFIX}{RULES_PATH}"
    use = f"{below}checkers/utilization/"
    assert keys_of_the_page() == {
        CONFIG_PREFIX + SIGN_UP_KEY,
        CONFIG_PREFIX + PASSWORD_DAYS_KEY,
        PROJECT_USE_KEY,
        "volumes/default_host",
        "volumes/_types",
        f"{below}enabled",
        f"{below}checkers/network_timeout/threshold",
        f"{use}thresholds-check-operator",
        f"{use}time-window",
        f"{use}initial-grace-period",
        f"{use}resource-thresholds/mem/average",
    }


def test_rules_and_volumes_are_read_as_the_page_writes_them() -> None:
    use = "checkers/utilization/"
    rules = read_rules(
        {
            "enabled": "network_timeout,utilization",
            "checkers/network_timeout/threshold": "10m",
            f"{use}thresholds-check-operator": "or",
            f"{use}time-window": "2h",
            f"{use}initial-grace-period": "90s",
            f"{use}resource-thresholds/mem/average": "5",
        }
    )
    assert not rules.problems
    assert rules.enabled == {Checker.NETWORK, Checker.UTILIZATION}
    assert rules.network_seconds == 600
    assert rules.utilization is not None
    assert rules.utilization.is_any
    assert rules.utilization.thresholds == {"mem": 5}
    found = read_config({"volumes/default_host": "local:one", "volumes/_types/user": "true"})
    assert (found.default_host, found.types) == ("local:one", {Ownership.USER})


def test_words_and_defaults_are_those_of_the_managers() -> None:
    assert all(f"'{checker}'" in TEXT for checker in Checker)
    for name, default in (("window", WINDOW_DEFAULT), ("grace", GRACE_DEFAULT)):
        assert re.search(rf"name: '{name}'.*byDefault: '{default}'", TEXT)
