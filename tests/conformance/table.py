"""Every command of the official client 23.9.10: the test that runs it, or why none does.

A test that does not run what it claims here fails; `test_every_command` holds the table to the
client's own tree of commands.
"""

from collections.abc import Iterator, Mapping
from typing import Final


def under(group: str, words: str) -> Iterator[str]:
    """The commands of a group; an empty group is the client itself."""
    return (f"{group} {word}".strip() for word in words.split())


def calls(*names: str) -> Iterator[str]:
    """Calls of the SDK, as the observations name them."""
    return (f"sdk: {name}" for name in names)


# Commands that ask for something else with an option: a row of its own for each.
FORMS: Final = frozenset({"vfolder create --unmanaged"})

RUN_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "test_account_commands.py::test_domains": (
        *under("admin domain", "add delete info list purge update"),
    ),
    "test_account_commands.py::test_groups_and_their_users": (
        *under("admin group", "add add-users delete info list purge remove-users update"),
    ),
    "test_account_commands.py::test_users_and_their_keypairs": (
        *under("admin user", "add delete info purge update"),
        *under("admin keypair", "activate add deactivate update"),
    ),
    "test_account_commands.py::test_passwords_that_do_not_expire_are_not_renewed_without_signing": (
        "update-password-no-auth",
    ),
    "test_app_commands.py::test_a_local_port_leads_to_an_app": ("app",),
    "test_app_commands.py::test_scp_copies_both_ways": ("scp", "session scp"),
    "test_app_commands.py::test_ssh_runs_commands_in_a_session": ("ssh", "session ssh"),
    "test_app_commands.py::test_start_service_gives_a_token_of_the_app_proxy": (
        *calls("start service"),
    ),
    "test_cluster_commands.py::test_agents": (
        *under("admin agent", "info list"),
        *under("admin manager scheduler", "exclude-agents include-agents"),
    ),
    "test_cluster_commands.py::test_an_announcement_is_shown_until_it_is_dismissed": (
        *under("admin announcement", "delete dismiss get update"),
    ),
    "test_cluster_commands.py::test_dotfiles": (
        *under("dotfile", "create delete get list update"),
    ),
    "test_cluster_commands.py::test_errors_that_were_logged": ("server-logs list",),
    "test_cluster_commands.py::test_facts_of_the_cluster": (
        *under("admin resource", "query-slots vfolder-types"),
        "admin keypair info",
        "admin permission list",
    ),
    "test_cluster_commands.py::test_settings_of_the_cluster": (
        *under("admin etcd", "delete get set"),
    ),
    "test_cluster_commands.py::test_the_cluster_is_frozen_and_goes_on": (
        *under("admin manager", "freeze status unfreeze"),
    ),
    "test_cluster_commands.py::test_watchers_and_licenses_are_not_offered": (
        *under("admin watcher", "agent-restart agent-start agent-stop status"),
        "admin license show",
    ),
    "test_image_commands.py::test_images_are_rescanned_listed_and_named": (
        *under("admin image", "alias dealias list rescan"),
        "admin resource docker-registries",
    ),
    "test_resource_commands.py::test_keypair_resource_policies": (
        *under("admin keypair-resource-policy", "add delete info list update"),
        "admin keypair delete",
    ),
    "test_resource_commands.py::test_lists_of_users_and_keypairs": (
        "admin keypair list",
        "admin user list",
    ),
    "test_resource_commands.py::test_scaling_groups": (
        *under("admin scaling-group", "add associate-scaling-group delete"),
        *under("admin scaling-group", "dissociate-scaling-group get-available info list update"),
    ),
    "test_sdk_calls.py::test_accounts": (
        *calls("authorize", "user list v1", "user detail self", "user detail by uuid"),
        *calls("keypair list v1", "keypair list v1 user", "keypair create bare", "keypair info"),
        *calls("krp info None", "update password", "dotfile owner list"),
    ),
    "test_sdk_calls.py::test_asking_a_session": (
        *calls("complete", "execute complete", "interrupt", "get info", "owner get info"),
        *calls("unicode name", "upload unicode", "app info", "hello", "versions"),
        *calls("stream execute by id"),
    ),
    "test_sdk_calls.py::test_groups_and_where_they_may_run": (
        *calls("group create", "sg assoc group", "sg dissoc group", "sg dissoc all group"),
        *calls("sg dissoc all domain"),
    ),
    "test_sdk_calls.py::test_resources_and_tasks": (
        *calls("resource list", "resource check", "image import form", "bgtask"),
    ),
    "test_sdk_calls.py::test_running_code_step_by_step": (
        *calls("execute query", "execute continue", "execute input", "execute batch"),
    ),
    "test_session_commands.py::test_apps_of_a_session_are_listed": ("apps",),
    "test_session_commands.py::test_commit_makes_an_image": ("session commit",),
    "test_session_commands.py::test_config_shows_who_asks_whom": ("config",),
    "test_session_commands.py::test_create_interactive_with_variables_and_bootstrap": (
        "session create",
    ),
    "test_session_commands.py::test_dependency_graph_is_shown": ("session show-graph",),
    "test_session_commands.py::test_destroy_ends_it": ("session destroy",),
    "test_session_commands.py::test_events_are_shown_as_they_happen": ("session events",),
    "test_session_commands.py::test_files_go_in_are_listed_and_come_back": (
        *under("session", "download ls upload"),
    ),
    "test_session_commands.py::test_info_tells_about_the_session": ("session info",),
    "test_session_commands.py::test_logs_are_what_was_printed": ("session logs",),
    "test_session_commands.py::test_ps_lists_nothing_then_a_session": ("ps",),
    "test_session_commands.py::test_rename_gives_another_name": ("session rename",),
    "test_session_commands.py::test_restart_gives_a_fresh_container_and_keeps_files": (
        "session restart",
    ),
    "test_session_commands.py::test_run_prints_what_code_prints": ("run",),
    "test_session_commands.py::test_status_history_has_times": ("session status-history",),
    "test_session_mode.py::test_a_person_logs_in_works_and_logs_out": ("login", "logout"),
    "test_session_mode.py::test_a_password_is_changed": ("update-password",),
    "test_session_shortcuts.py::test_logs_of_a_task_by_session_and_by_kernel": ("task-logs",),
    "test_session_shortcuts.py::test_short_ways_to_make_look_at_and_end_a_session": (
        *under("", "create destroy info restart"),
        *under("session", "abuse-history list"),
        *under("admin session", "info list"),
    ),
    "test_session_shortcuts.py::test_the_proxy_signs_requests": ("proxy",),
    "test_session_shortcuts.py::test_watching_a_session_ends_with_it": (
        *under("", "events watch"),
        "session watch",
    ),
    "test_usage_commands.py::test_curves_of_the_sdk": (*calls("user monthly", "admin monthly"),),
    "test_usage_commands.py::test_session_templates": (
        *under("session-template", "create delete get list update"),
    ),
    "test_usage_commands.py::test_sessions_from_templates": (
        "create-from-template",
        "session create-from-template",
    ),
    "test_usage_commands.py::test_usage": (
        *under("admin resource", "recalculate-usage usage-per-month usage-per-period"),
    ),
    "test_vfolder_commands.py::test_a_directory_of_nodes_is_a_folder": (
        "vfolder create --unmanaged",
    ),
    "test_vfolder_commands.py::test_administrators_change_shares_and_owners": (
        *under("admin vfolder", "change-vfolder-ownership list list-shared-vfolders"),
        *under("admin vfolder", "remove-shared-vf-permission shared-vfolder-info"),
        "admin vfolder update-shared-vf-permission",
    ),
    "test_vfolder_commands.py::test_files_go_in_are_changed_and_come_back": (
        *under("vfolder", "cp download ls mkdir mv rename-file request-download rm upload"),
    ),
    "test_vfolder_commands.py::test_folders_are_made_changed_copied_and_deleted": (
        *under("vfolder", "clone create delete info list list-allowed-types list-hosts"),
        *under("vfolder", "list-own rename update-options"),
    ),
    "test_vfolder_commands.py::test_folders_are_shared_by_invitation": (
        *under("vfolder", "invitations invite leave list-invited"),
    ),
    "test_vfolder_commands.py::test_folders_by_calls_of_the_sdk": (
        *calls("vfolder REST list", "vfolder delete by id"),
    ),
    "test_vfolder_commands.py::test_members_have_the_folders_of_projects": (
        *under("vfolder", "list-project share unshare"),
    ),
    "test_vfolder_commands.py::test_volumes_are_shown_and_mounted_by_operators": (
        *under("admin storage", "info list"),
        *under("admin vfolder", "get-fstab-contents list-hosts list-mounts mount-host"),
        *under("admin vfolder", "perf-metric umount-host"),
    ),
}

# How the commands end that do not succeed with the original either; all others end with 0.
EXIT_CODES: Final[Mapping[str, int]] = {
    # Where nobody bought the other edition, and nobody installed a watcher.
    "admin license show": 1,
    **dict.fromkeys(under("admin watcher", "agent-restart agent-start agent-stop status"), 1),
    # The one is not written, the other asks for what is no text.
    "vfolder cp": 1,
    "vfolder request-download": 1,
    # It fails at printing the answer.
    "admin scaling-group dissociate-scaling-group": 1,
    "sdk: execute complete": 1,
    "sdk: unicode name": 1,
    "sdk: image import form": 1,
    "sdk: bgtask": 1,
}

# What is no part of this API yet: model services.
OUT_OF_SCOPE: Final[Mapping[str, tuple[str, ...]]] = {
    "model-service": (
        *under("model", "create download info list rm upload"),
        *under("service", "create downscale-route generate-token get-endpoint info list rm"),
        *under("service", "scale sync update-traffic-ratio"),
        *calls("inference list", "service downscale"),
    ),
}

# What belongs here and is not run.
NOT_RUN: Final[Mapping[str, str]] = {}

SDK_CALLS: Final = frozenset(
    calls(
        "execute query",
        "execute continue",
        "execute input",
        "execute batch",
        "execute complete",
        "complete",
        "interrupt",
        "get info",
        "start service",
        "app info",
        "owner get info",
        "unicode name",
        "upload unicode",
        "hello",
        "inference list",
        "vfolder REST list",
        "vfolder delete by id",
        "authorize",
        "user list v1",
        "user detail self",
        "user detail by uuid",
        "keypair list v1",
        "keypair list v1 user",
        "keypair create bare",
        "keypair info",
        "krp info None",
        "group create",
        "sg dissoc all domain",
        "sg assoc group",
        "sg dissoc group",
        "sg dissoc all group",
        "resource list",
        "resource check",
        "user monthly",
        "admin monthly",
        "image import form",
        "update password",
        "dotfile owner list",
        "service downscale",
        "versions",
        "stream execute by id",
        "bgtask",
    )
)
