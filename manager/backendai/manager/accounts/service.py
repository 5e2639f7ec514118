"""The use cases that need collaborators, in one value for those who call them."""

from dataclasses import dataclass

from backendai.common.ids import IdSource
from backendai.manager.images.registries import Registries

from .keypairs import Keypairs
from .projects import Projects
from .secretbox import SecretBox
from .users import Users


@dataclass(frozen=True, slots=True)
class Accounts:
    """Accounts of people, and those at image registries. Domains need nothing: their use cases are
    plain functions."""

    projects: Projects
    users: Users
    keypairs: Keypairs
    registries: Registries


def make_accounts(ids: IdSource, box: SecretBox) -> Accounts:
    keypairs = Keypairs(ids, box)
    return Accounts(Projects(ids), Users(ids, keypairs), keypairs, Registries(box))
