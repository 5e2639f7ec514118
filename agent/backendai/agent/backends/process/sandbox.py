"""The command line of a sandbox: a profile and a root file system in bubblewrap's words. PURE.

As root the sandbox keeps the host's user ids and the runner gives up root itself, having no
capability but those for that; otherwise a user namespace maps the agent's user to the kernel's.
"""

from collections.abc import Iterator
from typing import Final

from backendai.agent.profile import Profile

from .rootfs import RootFs

# What root needs to read its setup in the kernel's folders and to become the kernel's user; it
# has none of them any more from then on.
CAPABILITIES_UNTIL_DROPPED: Final = ("CAP_DAC_READ_SEARCH", "CAP_SETGID", "CAP_SETUID")
# Its arguments: how many cgroup files, these files, the limit of open files, then the command.
LAUNCH_SCRIPT: Final = """
count=$1; shift
while [ "$count" -gt 0 ]; do echo $$ > "$1" || exit 125; shift; count=$((count - 1)); done
ulimit -c 0; ulimit -n "$1" || exit 125; shift
exec "$@"
"""


def make_arguments(
    profile: Profile, root: RootFs, status_fd: int, *, is_root: bool, shares_network: bool
) -> list[str]:
    """bwrap's arguments, the command of the profile last."""
    return [
        "bwrap",
        *_namespaces(profile, is_root=is_root, shares_network=shares_network),
        *root.bind_arguments(frozenset(mount.target for mount in profile.mounts)),
        *("--proc", "/proc", "--dev", "/dev"),
        *_devices(profile),
        *("--perms", "1777", "--size", str(profile.shared_memory_bytes), "--tmpfs", "/dev/shm"),  # noqa: S108
        *_mounts(profile),
        *("--remount-ro", "/"),
        "--clearenv",
        *_environ(root),
        *("--chdir", profile.work_dir, "--json-status-fd", str(status_fd)),
        "--",
        *profile.command,
    ]


def _namespaces(profile: Profile, *, is_root: bool, shares_network: bool) -> Iterator[str]:
    yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--hostname", profile.hostname, "--new-session", "--cap-drop", "ALL")
    if is_root:
        for capability in CAPABILITIES_UNTIL_DROPPED:
            yield from ("--cap-add", capability)
    else:
        yield from ("--unshare-user", "--uid", str(profile.uid), "--gid", str(profile.gid))
    if not shares_network:
        yield "--unshare-net"


def _devices(profile: Profile) -> Iterator[str]:
    """Device files of the kernel's own devices; it cannot make others."""
    for path in profile.limits.device_paths:
        yield from ("--dev-bind", path, path)


def _mounts(profile: Profile) -> Iterator[str]:
    """Folders above a mount are made first: those that bwrap makes itself are for root alone."""
    for parent in sorted({mount.target.rpartition("/")[0] for mount in profile.mounts} - {""}):
        yield from ("--dir", parent)
    for mount in profile.mounts:
        yield from ("--ro-bind" if mount.is_read_only else "--bind", mount.source, mount.target)


def _environ(root: RootFs) -> Iterator[str]:
    for name, value in root.environ.items():
        yield from ("--setenv", name, value)
