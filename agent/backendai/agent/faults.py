"""What can go wrong on a node. Each names the real cause in the words of whoever refused."""

from backendai.common.faults import AgentFault, AgentInvalidInput, Kind, Stale


class EngineUnreachable(AgentFault):
    """The container engine does not answer now: nothing is known, nothing is dead."""

    kind, code = Kind.UNAVAILABLE, "agent.engine_unreachable"
    agent_slug, agent_title = "engine-unreachable", "The container engine does not answer."


class EngineRefused(AgentFault):
    """The container engine answered with an error; `detail` is its own message."""

    code = "agent.engine_refused"
    agent_slug, agent_title = "engine-refused", "The container engine refused."


class ContainerSpoiled(EngineRefused):
    """The engine was cut off while it started the container; only a new one can start."""

    kind, code = Kind.UNAVAILABLE, "agent.container_spoiled"
    agent_slug, agent_title = "container-spoiled", "The container was left half started."


class NetworkMissing(EngineRefused):
    """The network is not there, or the swarm lets nobody into it now."""

    kind, code = Kind.UNAVAILABLE, "agent.network_missing"
    agent_slug, agent_title = "network-missing", "The network of the session is not there."


class ContainerMissing(AgentFault):
    code = "agent.container_missing"
    agent_slug, agent_title = "container-missing", "There is no such container."


class ImageMissing(AgentFault):
    """Neither this node nor the registry has the image, or the registry wants a login."""

    code = "agent.image_missing"
    agent_slug, agent_title = "image-missing", "The image cannot be had."


class ImageInUse(AgentFault):
    """A container on this node, one of ours or not, is made of the image."""

    kind, code, status = Kind.CONFLICT, "agent.image_in_use", 409
    slug, title = "conflict", "The request conflicts with the present state."
    agent_slug, agent_title = "image-in-use", "The image is in use."


class RegistryLoginRefused(AgentFault):
    """The registry wants other credentials than those that it was given, or wants some."""

    code = "agent.registry_login_refused"
    agent_slug = "registry-login-refused"
    agent_title = "The image registry refuses the login."


class RegistryUnavailable(AgentFault):
    kind, code = Kind.UNAVAILABLE, "agent.registry_unavailable"
    agent_slug, agent_title = "registry-unavailable", "The image registry does not answer."


class NotEnoughDevices(AgentFault):
    kind, code = Kind.UNAVAILABLE, "agent.not_enough_devices"
    agent_slug, agent_title = "not-enough-devices", "The node has not enough free devices."


class DiskRefused(AgentFault):
    """The file system of this node refused; `detail` is its own message."""

    kind, code = Kind.UNAVAILABLE, "agent.disk_refused"
    agent_slug, agent_title = "disk-refused", "The disk of the node refused."


class VolumeMissing(AgentFault):
    """The volume is not mounted on this node, or another one is in its place."""

    kind, code = Kind.UNAVAILABLE, "agent.volume_missing"
    agent_slug, agent_title = "volume-missing", "The volume is not mounted on the node."


class VolumeSilent(AgentFault):
    """The volume is mounted and does not answer, as a network file system whose server is away."""

    kind, code = Kind.UNAVAILABLE, "agent.volume_silent"
    agent_slug, agent_title = "volume-silent", "The volume does not answer."


class DirectoryMissing(AgentFault):
    """The directory of an unmanaged folder is not on this node, or its settings do not offer it."""

    kind, code = Kind.UNAVAILABLE, "agent.directory_missing"
    agent_slug, agent_title = "directory-missing", "The node does not offer the directory."


class FolderUnfit(AgentFault):
    """What shall be mounted is not there, is no directory, or lies outside of its folder."""

    code = "agent.folder_unfit"
    agent_slug, agent_title = "folder-unfit", "The folder cannot be mounted."


class RunnerSilent(AgentFault):
    kind, code = Kind.UNAVAILABLE, "agent.runner_silent"
    agent_slug, agent_title = "runner-silent", "The runner in the kernel does not answer."


class RunnerFailed(AgentFault):
    """The container ended before its runner answered; `detail` has what it printed."""

    code = "agent.runner_failed"
    agent_slug, agent_title = "runner-failed", "The kernel did not come up."


class KernelNotRunning(AgentFault):
    kind, code, status = Kind.CONFLICT, "agent.kernel_not_running", 409
    slug, title = "conflict", "The request conflicts with the present state."
    agent_slug, agent_title = "kernel-not-running", "The kernel is not running."


class AppUnknown(AgentFault):
    """Neither the image nor the runner has it; `detail` names those that there are."""

    kind, code = Kind.NOT_FOUND, "agent.app_unknown"
    slug, title = "app-not-found", "No such app."
    agent_slug, agent_title = "app-unknown", "The kernel offers no such app."


class AppFailed(AgentFault):
    """It ended at once, or does not listen; `detail` has what it printed."""

    code = "agent.app_failed"
    agent_slug, agent_title = "app-failed", "The app did not start."


class CommitNotOffered(AgentFault):
    """The backend of this node has no images that could be made."""

    code = "agent.commit_not_offered"
    agent_slug, agent_title = "commit-not-offered", "Kernels of this node make no images."


class BadOrder(AgentInvalidInput):
    code = "agent.bad_order"


class StaleGeneration(Stale):
    """An order of an older generation than this node has seen. Facts: `seen`."""

    code = "agent.stale_generation"
