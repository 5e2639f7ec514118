"""Policy and resource group commands of the official client, and its lists of accounts."""

import pytest

from tests.conformance.test_account_commands import (
    Command,
    client,
    command,
    manager,
    module_dir,
    parsed,
    settings,
    word,
)

__all__ = ["client", "command", "manager", "module_dir", "settings", "word"]


@pytest.mark.timeout(300)
async def test_keypair_resource_policies(command: Command, word: str) -> None:
    of_policies = ("admin", "keypair-resource-policy")
    made = await parsed(
        command, *of_policies, "add", word, "--total-resource-slots", '{"mem":"5g"}'
    )
    assert made["resource_policy"] == {"name": word}
    assert word in await command(*of_policies, "list")
    shown = await command(*of_policies, "info", word)
    assert '"mem":"5368709120"' in shown
    await command(*of_policies, "update", word, "--idle-timeout", "10")
    wrong = ("update", word, "--default-for-unspecified", "SOME")
    assert "none of LIMITED, UNLIMITED" in await command(*of_policies, *wrong, code=1)
    made = await parsed(command, "admin", "keypair", "add", "bob@example.com", word)
    key = made["keypair"]["access_key"]
    told = await command(*of_policies, "delete", word, code=1)
    assert f"{key} (bob@example.com)" in told
    await command("admin", "keypair", "delete", key)
    await command(*of_policies, "delete", word)
    assert word not in await command(*of_policies, "list")


@pytest.mark.timeout(300)
async def test_scaling_groups(command: Command, word: str) -> None:
    of_groups = ("admin", "scaling-group")
    options = '{"allowed_session_types": ["interactive", "batch"]}'
    kind = ("--driver", "static", "--scheduler", "fifo", "--scheduler-opts", options)
    made = await parsed(command, *of_groups, "add", word, "-d", "For tests", *kind)
    assert made["scaling_group"] == {"name": word}
    assert word in await command(*of_groups, "list")
    await command(*of_groups, "update", word, "--wsproxy-addr", "http://x")
    shown = await parsed(command, *of_groups, "info", word)
    item = shown["items"][0] if "items" in shown else shown
    assert (item["description"], item["wsproxy_addr"]) == ("For tests", "http://x")
    assert item["scheduler_opts"] == {"allowed_session_types": ["interactive", "batch"]}
    assert word not in await command(*of_groups, "get-available", "default")
    await command(*of_groups, "associate-scaling-group", word, "default")
    assert word in await command(*of_groups, "get-available", "default")
    # The client fails at printing the answer, whatever that says.
    with pytest.raises(AssertionError, match="KeyError: 'scaling_group'"):
        await command(*of_groups, "dissociate-scaling-group", word, "default", code=1)
    assert word not in await command(*of_groups, "get-available", "default")
    await command(*of_groups, "delete", word)
    assert word not in await command(*of_groups, "list")


@pytest.mark.timeout(300)
async def test_lists_of_users_and_keypairs(command: Command) -> None:
    emails = [each["email"] for each in (await parsed(command, "admin", "user", "list"))["items"]]
    assert {"alice@example.com", "mallory@example.com"} <= set(emails)
    words = ("--filter", 'email == "bob@example.com"', "--order", "-created_at")
    listed = await parsed(command, "admin", "keypair", "list", *words)
    assert [each["access_key"] for each in listed["items"]] == ["AKBOB"]
    assert listed["total_count"] == 1
