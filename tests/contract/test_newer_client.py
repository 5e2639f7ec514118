"""What the official client 25.5.2 was observed to ask by GraphQL, where 23.9.10 asks otherwise.

Roots of folders and of model services come with those.
"""

from typing import Any

import pytest
from graphql import build_schema, parse, validate
from graphql.execution import get_variable_values
from graphql.language import OperationDefinitionNode

from backendai.manager.graph.execute import SCHEMA_FILE

OURS = build_schema(SCHEMA_FILE.read_text("utf-8"))
SESSIONS = """query($limit: Int!, $offset: Int!, $status: String, $ak: String, $filter: String,
  $order: String) {{
    compute_session_list(limit: $limit, offset: $offset, status: $status, access_key: $ak,
        filter: $filter, order: $order) {{ items {{ {0} }} total_count }} }}"""
LISTED = (
    "name access_key priority id group_name type image status status_info status_changed result"
)
WATCHED = "name id group_name main_kernel_id image type status status_info status_changed result"
PAGE: dict[str, Any] = {
    "status": "PENDING,SCHEDULED,PULLING,PREPARED,PREPARING,CREATING,RUNNING",
    "ak": None,
    "filter": None,
    "order": None,
    "limit": 20,
    "offset": 0,
}
SESSION = """query($id: UUID!) { compute_session(id: $id) {
    name priority id main_kernel_id image tag created_at terminated_at status status_info
    status_data occupying_slots idle_checks
    containers { id cluster_role cluster_idx cluster_hostname session_id image registry status
        status_info status_data status_changed agent container_id resource_opts occupied_slots
        preopen_ports live_stat last_stat }
    dependencies { name id } } }"""
POLICY = """name created_at total_resource_slots max_concurrent_sessions idle_timeout
    max_containers_per_session allowed_vfolder_hosts max_session_lifetime
    max_pending_session_count max_pending_session_resource_slots max_concurrent_sftp_sessions"""
ID = "00000000-0000-0000-0000-000000000001"
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "ps": (SESSIONS.format(LISTED), PAGE),
    "ps --detail": (SESSIONS.format(f"{LISTED} tag created_at occupying_slots"), PAGE),
    "session watch": (SESSIONS.format(WATCHED), PAGE),
    "session info": (SESSION, {"id": ID}),
    "user add, its projects": (
        """query($name: String!, $domain: String) {
            groups_by_name(name: $name, domain_name: $domain) {
                id name description is_active created_at domain_name total_resource_slots
                allowed_vfolder_hosts integration_id } }""",
        {"name": "default", "domain": "default"},
    ),
    "user add": (
        """mutation($email: String!, $input: UserInput!) {
            create_user(email: $email, props: $input) {
                ok msg user { domain_name email username uuid groups { id name } } } }""",
        {
            "email": "new@example.com",
            "input": {
                "password": "pw",
                "role": "user",
                "status": "active",
                "need_password_change": False,
                "description": "",
                "domain_name": "default",
                "totp_activated": False,
                "sudo_session_enabled": False,
                "username": "nu",
                "full_name": "Full",
                "allowed_client_ip": None,
                "group_ids": [ID],
                "container_uid": None,
                "container_main_gid": None,
                "container_gids": None,
            },
        },
    ),
    "user update": (
        """mutation($email: String!, $input: ModifyUserInput!) {
            modify_user(email: $email, props: $input) { ok msg } }""",
        {
            "email": "a@b.c",
            "input": {"password": "pw", "main_access_key": "AK", "status": "active"},
        },
    ),
    "user purge": (
        """mutation($email: String!, $input: PurgeUserInput!) {
            purge_user(email: $email, props: $input) { ok msg } }""",
        {
            "email": "a@b.c",
            "input": {"purge_shared_vfolders": False, "delegate_endpoint_ownership": False},
        },
    ),
    "keypair-resource-policy list": (f"{{ keypair_resource_policies {{ {POLICY} }} }}", {}),
    "keypair-resource-policy info": (
        f"query($name: String) {{ keypair_resource_policy(name: $name) {{ {POLICY} }} }}",
        {"name": "default"},
    ),
    "keypair-resource-policy add": (
        """mutation($name: String!, $input: CreateKeyPairResourcePolicyInput!) {
            create_keypair_resource_policy(name: $name, props: $input) {
                ok msg resource_policy { name } } }""",
        {
            "name": "p1",
            "input": {
                "default_for_unspecified": "UNLIMITED",
                "total_resource_slots": "{}",
                "max_session_lifetime": 0,
                "max_concurrent_sessions": 30,
                "max_concurrent_sftp_sessions": 30,
                "max_containers_per_session": 1,
                "idle_timeout": 1800,
                "allowed_vfolder_hosts": "{}",
                "max_pending_session_count": None,
                "max_pending_session_resource_slots": None,
            },
        },
    ),
    "image rescan": (
        """mutation($registry: String, $project: String) {
            rescan_images(registry: $registry, project: $project) { ok msg task_id } }""",
        {"registry": "cr.backend.ai", "project": None},
    ),
    "image list --customized": (
        "query { customized_images { id name registry architecture tag digest size_bytes aliases"
        " labels { key value } } }",
        {},
    ),
    "image forget": (
        """mutation($image_id: String!) {
            forget_image_by_id(image_id: $image_id) { ok msg } }""",
        {"image_id": ID},
    ),
    "untag_image_from_registry": (
        "mutation($id: String!) { untag_image_from_registry(id: $id) { ok msg } }",
        {"id": ID},
    ),
    "modify_compute_session": (
        """mutation($input: ModifyComputeSessionInput!) {
            modify_compute_session(input: $input) {
                item { name priority } clientMutationId } }""",
        {"input": {"id": ID, "clientMutationId": "m", "name": "other", "priority": 20}},
    ),
}


@pytest.mark.parametrize("command", ASKED)
def test_our_schema_takes_it(command: str) -> None:
    text, values = ASKED[command]
    document = parse(text)
    assert validate(OURS, document) == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    found = get_variable_values(OURS, operation.variable_definitions or (), values)
    assert not isinstance(found, list), found
