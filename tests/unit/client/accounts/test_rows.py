"""Properties in the forms of the wire."""

import json

from backendai.client.accounts.own import SshKeypair
from backendai.client.accounts.rows import NewKeypair, wire_props


def test_properties_have_the_names_and_forms_of_the_wire() -> None:
    wire = wire_props({"domain": "d", "project_ids": ["1"], "role": "user", "is_active": False})
    assert wire == {"domain_name": "d", "group_ids": ["1"], "role": "user", "is_active": False}
    texts = wire_props({"total_resource_slots": {"cpu": "1"}, "allowed_vfolder_hosts": {}})
    assert json.loads(texts["total_resource_slots"]) == {"cpu": "1"}
    assert texts["allowed_vfolder_hosts"] == "{}"


def test_secrets_are_not_in_what_is_printed() -> None:
    assert "hidden" not in repr(NewKeypair("AK", "hidden"))
    assert "hidden" not in repr(SshKeypair("public", "hidden"))
