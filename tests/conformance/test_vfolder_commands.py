"""The commands of folders, and of the volumes they lie on, with real files on a real volume."""

import re
import uuid
from collections.abc import Iterator

import pytest

from tests.conformance.doors import enter
from tests.conformance.official import Official
from tests.conformance.releases import MAIN, find_release
from tests.running.rest import Api
from tests.running.stack import Stack

HOST = "local:volume1"


@pytest.fixture
def admin(official: Official, stack: Stack) -> Official:
    """The superadmin, on the machine of the user."""
    return enter(official, stack, "admin")


@pytest.fixture
def name(stack: Stack) -> Iterator[str]:
    """What the names of all folders of a test begin with; they are gone afterwards."""
    word = f"v{uuid.uuid4().hex[:8]}"
    yield word
    api = stack.api("admin")
    for folder in find(api, word):
        if folder["status"] != "delete-pending":
            api.ask("DELETE", "/folders", {"id": folder["id"]})
        api.ask("POST", "/folders/purge", {"id": folder["id"]})


def find(api: Api, word: str) -> list[dict[str, str]]:
    folders: list[dict[str, str]] = api.ask("GET", "/folders", {"all": True}).json()
    return [folder for folder in folders if folder["name"].startswith(word)]


def email(official: Official) -> str:
    return official.environ["BAI_LOGIN"]


def user_id(shown: str) -> str:
    found = re.search(r"User ID: (\S+)", shown)
    assert found is not None, shown
    return found[1]


def folder_id(shown: str) -> str:
    found = re.search(r"\(ID: (\w+)\)", shown)
    assert found is not None, shown
    return found[1]


@pytest.mark.timeout(300)
def test_folders_are_made_changed_copied_and_deleted(official: Official, name: str) -> None:
    assert HOST in official.ok("vfolder", "list-hosts")
    assert "user" in official.ok("vfolder", "list-allowed-types")
    quota = ("-q", "10g") if find_release() is MAIN else ()
    assert name in official.ok("vfolder", "create", "-m", "data", *quota, name, HOST)
    assert "already exists" in official("vfolder", "create", name, HOST).both
    shown = official.ok("vfolder", "info", name)
    assert "- Permission: wd" in shown
    assert "- Usage Mode: data" in shown
    for words in (("list",), ("list-own",), ("list", "--filter", f'name == "{name}"')):
        assert name in official.ok("vfolder", *words)
    official.ok("vfolder", "rename", name, f"{name}-2")
    refused = official.ok("vfolder", "clone", f"{name}-2", f"{name}-3", HOST)
    assert "Clone is not allowed" in refused
    official.ok("vfolder", "update-options", f"{name}-2", "-p", "ro", "--set-cloneable", "true")
    assert "- Clone Allowed: True" in official.ok("vfolder", "info", f"{name}-2")
    official.ok("vfolder", "clone", f"{name}-2", f"{name}-3", HOST)
    assert "- Status: ready" in official.ok("vfolder", "info", f"{name}-3")
    official.ok("vfolder", "delete", f"{name}-2")
    binned = official.ok("vfolder", "list", "--filter", f'name == "{name}-2"')
    assert "delete-pending" in binned


@pytest.mark.timeout(300)
def test_a_directory_of_nodes_is_a_folder(official: Official, admin: Official, name: str) -> None:
    refused = official("vfolder", "create", "--unmanaged", name, "/mnt/x")
    assert refused.code == 1
    assert "Only superadmins" in refused.both
    assert name in admin.ok("vfolder", "create", "--unmanaged", name, "/mnt/x")
    assert name in admin.ok("vfolder", "list-own")
    assert "- Status: ready" in admin.ok("vfolder", "info", name)
    assert "not kept by a storage proxy" in admin("vfolder", "ls", name).both
    admin.ok("vfolder", "rename", name, f"{name}-2")
    admin.ok("vfolder", "invite", f"{name}-2", email(official))
    admin.ok("vfolder", "delete", f"{name}-2")


@pytest.mark.timeout(300)
def test_files_go_in_are_changed_and_come_back(official: Official, name: str) -> None:
    official.ok("vfolder", "create", name, HOST)
    (official.folder / "up.txt").write_text("hello")
    inner = official.folder / "d" / "sub"
    inner.mkdir(parents=True)
    (inner / "x.txt").write_bytes(bytes(range(256)) * 5000)
    official.ok("vfolder", "upload", name, "up.txt")
    official.ok("vfolder", "upload", "-r", name, "d")
    assert "up.txt" in official.ok("vfolder", "ls", name)
    assert "x.txt" in official.ok("vfolder", "ls", name, "d/sub")
    official.ok("vfolder", "mkdir", "-p", "-e", name, "a/b")
    official.ok("vfolder", "rename-file", name, "up.txt", "renamed.txt")
    official.ok("vfolder", "mv", name, "renamed.txt", "a/b/moved.txt")
    assert "moved.txt" in official.ok("vfolder", "ls", name, "a/b")
    for file in ("a/b/moved.txt", "d/sub/x.txt"):
        (official.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (official.folder / file).unlink(missing_ok=True)
        official.ok("vfolder", "download", name, file)
    assert (official.folder / "a/b/moved.txt").read_text() == "hello"
    assert (inner / "x.txt").read_bytes() == bytes(range(256)) * 5000
    official.ok("vfolder", "rm", "-r", name, "d", "a/b/moved.txt", typed="y\n")
    assert "moved.txt" not in official.ok("vfolder", "ls", name, "a/b")
    # Neither works, whatever it is answered.
    assert official("vfolder", "request-download", name, "a").code == 1
    assert "NotImplementedError" in official("vfolder", "cp", "a", f"{name}:b").both


@pytest.mark.timeout(300)
def test_folders_are_shared_by_invitation(official: Official, admin: Official, name: str) -> None:
    official.ok("vfolder", "create", name, HOST)
    assert "No invitations" in admin.ok("vfolder", "invitations")
    assert email(admin) in official.ok("vfolder", "invite", "-p", "ro", name, email(admin))
    shown = admin.ok("vfolder", "invitations", typed="1\na\n")
    assert f"You can now access vfolder {name}" in shown
    assert name in admin.ok("vfolder", "list-invited")
    assert "- Permission: ro" in admin.ok("vfolder", "info", name)
    assert "cannot leave" in official.ok("vfolder", "leave", name)
    assert f'Left the shared virtual folder "{name}"' in admin.ok("vfolder", "leave", name)
    official.ok("vfolder", "invite", name, email(admin))
    assert "invitation rejected" in admin.ok("vfolder", "invitations", typed="1\nr\n")
    assert "nobody@example.com" in official("vfolder", "invite", name, "nobody@example.com").both


@pytest.mark.timeout(300)
def test_members_have_the_folders_of_projects(
    official: Official, admin: Official, name: str
) -> None:
    admin.ok("vfolder", "create", "-g", "default", "-p", "ro", name, HOST)
    assert name in official.ok("vfolder", "list-project")
    assert "- Permission: ro" in official.ok("vfolder", "info", name)
    assert email(official) in admin.ok("vfolder", "share", "-p", "rw", name, email(official))
    assert "- Permission: rw" in official.ok("vfolder", "info", name)
    assert email(official) in admin.ok("vfolder", "unshare", name, email(official))
    assert "- Permission: ro" in official.ok("vfolder", "info", name)


@pytest.mark.timeout(300)
def test_administrators_change_shares_and_owners(
    official: Official, admin: Official, name: str
) -> None:
    official.ok("vfolder", "create", name, HOST)
    shown = official.ok("vfolder", "info", name)
    folder = folder_id(shown)
    official.ok("vfolder", "invite", "-p", "ro", name, email(admin))
    admin.ok("vfolder", "invitations", typed="1\na\n")
    shared = admin.ok("admin", "vfolder", "list-shared-vfolders")
    assert folder in shared
    told = admin.ok("admin", "vfolder", "shared-vfolder-info", folder)
    found = re.search(r"uuid: (\S+)", told)
    assert found is not None, told
    one = (folder, found[1])
    admin.ok("admin", "vfolder", "update-shared-vf-permission", *one, "-p", "rw")
    assert "- Permission: rw" in admin.ok("vfolder", "info", name)
    admin.ok("admin", "vfolder", "remove-shared-vf-permission", *one)
    assert name not in admin.ok("admin", "vfolder", "list-shared-vfolders")
    assert name in admin.ok("admin", "vfolder", "list")
    admin.ok("admin", "vfolder", "change-vfolder-ownership", folder, email(admin))
    assert user_id(admin.ok("vfolder", "info", name)) == found[1]
    assert "No such virtual folder" in official("vfolder", "info", name).both


@pytest.mark.timeout(300)
def test_volumes_are_shown_and_mounted_by_operators(admin: Official) -> None:
    assert HOST in admin.ok("admin", "storage", "list")
    shown = admin.ok("admin", "storage", "info", HOST)
    assert "vfs" in shown
    assert HOST in admin.ok("admin", "vfolder", "list-hosts")
    assert "iops_read" in admin.ok("admin", "vfolder", "perf-metric", HOST)
    told = "Mount file systems on the machines"
    # A newer client does not ask without an agent.
    for agent in ((), ("-a", "i-nowhere")) if find_release() is MAIN else (("-a", "i-nowhere"),):
        assert told in admin.ok("admin", "vfolder", "get-fstab-contents", *agent)
    assert "success : True" in admin.ok("admin", "vfolder", "list-mounts")
    assert told in admin.ok("admin", "vfolder", "mount-host", "nfs:/x", "n1")
    assert told in admin.ok("admin", "vfolder", "umount-host", "n1")


@pytest.mark.timeout(300)
def test_folders_by_calls_of_the_sdk(admin: Official, name: str) -> None:
    admin.ok("vfolder", "create", name, HOST)
    folder = folder_id(admin.ok("vfolder", "info", name))
    found = admin.sdk(
        vfolder_REST_list="session.VFolder.list()",
        vfolder_delete_by_id=f"session.VFolder.delete_by_id({folder!r})",
        left="session.VFolder.list()",
    )
    assert [one["id"] for one in found["vfolder REST list"] if one["name"] == name] == [folder]
    [left] = [one for one in found["left"] if one["name"] == name]
    assert left["status"] == "delete-pending"
