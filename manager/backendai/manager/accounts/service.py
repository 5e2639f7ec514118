"""The use cases on accounts that need collaborators, in one value for those who call them."""

from dataclasses import dataclass

from backendai.common.ids import IdSource

from .keypairs import Keypairs
from .projects import Projects
from .secretbox import SecretBox
from .users import Users


@dataclass(frozen=True, slots=True)
class Accounts:
    """Domains need nothing: their use cases are plain functions."""

    projects: Projects
    users: Users
    keypairs: Keypairs


def make_accounts(ids: IdSource, box: SecretBox) -> Accounts:
    keypairs = Keypairs(ids, box)
    return Accounts(Projects(ids), Users(ids, keypairs), keypairs)
