"""What hosts allow is a union, and a refusal says who could allow more, and how."""

import pytest

from backendai.common.enums import HostPermission
from backendai.common.faults import Forbidden
from backendai.manager.vfolders.allowed import (
    NOTHING,
    AllowedHosts,
    Giver,
    GiverKind,
    require_on_host,
)

HOST, OTHER = "local:volume1", "b:v"
DOMAIN = Giver(GiverKind.DOMAIN, "lab", {HOST: ["create-vfolder"]})
PROJECT = Giver(GiverKind.PROJECT, "my vision", {}, "lab")
POLICY = Giver(GiverKind.POLICY, "default", {HOST: ["upload-file"], OTHER: ["download-file"]})
ALL = ",".join(each.value for each in HostPermission)


def test_what_anything_allows_on_a_host_is_allowed() -> None:
    allowed = AllowedHosts((DOMAIN, PROJECT, POLICY))
    assert allowed.on(HOST) == {HostPermission.CREATE, HostPermission.UPLOAD}
    assert allowed.on(OTHER) == {HostPermission.DOWNLOAD}
    assert allowed.on("nowhere:v") == frozenset()
    assert allowed.hosts == [OTHER, HOST]
    require_on_host(allowed, HOST, HostPermission.UPLOAD)


def test_a_refusal_says_who_does_not_allow_it_and_what_does() -> None:
    allowed = AllowedHosts((DOMAIN, POLICY))
    with pytest.raises(Forbidden) as refused:
        require_on_host(allowed, HOST, HostPermission.DOWNLOAD)
    assert refused.value.detail == (
        "download-file on local:volume1 is allowed by none of: domain lab, keypair policy default; "
        "they allow it on: b:v. An administrator allows it by: backendai admin domain update lab "
        "--vfolder-host local:volume1=create-vfolder,download-file"
    )
    assert refused.value.facts["allowed"] == [OTHER]


@pytest.mark.parametrize(
    ("givers", "command"),
    [
        (
            (PROJECT, POLICY),
            f"project update 'my vision' --domain lab --vfolder-host local:volume1={ALL}",
        ),
        (
            (POLICY,),
            "policy update default --of keypair"
            " --vfolder-host local:volume1=upload-file,mount-in-session"
            " --vfolder-host b:v=download-file",
        ),
    ],
)
def test_the_command_keeps_what_is_allowed(givers: tuple[Giver, ...], command: str) -> None:
    with pytest.raises(Forbidden) as refused:
        require_on_host(AllowedHosts(givers), HOST, HostPermission.MOUNT)
    assert refused.value.facts["command"] == f"backendai admin {command}"


def test_nobody_allows_anything() -> None:
    with pytest.raises(Forbidden, match="no host"):
        require_on_host(NOTHING, HOST, HostPermission.CREATE)
