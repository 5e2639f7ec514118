"""All that serves folders, made at once: the use cases, their routes, and what runs behind them."""

from collections.abc import Mapping
from dataclasses import dataclass

from backendai.common.clock import Clock
from backendai.common.ids import IdSource
from backendai.manager.audit.change import Changes
from backendai.manager.db.engine import Database
from backendai.manager.gate.routes import Route
from backendai.manager.tasks.model import TaskWork

from . import rest, rest_files, rest_hosts, rest_sharing
from .clone import CLONE_FOLDER, CloneWork, FolderClones
from .creation import PURGE_FOLDER, FolderCreation
from .files import FolderFiles
from .hosts import FolderHosts
from .limits import LimitWatch
from .link import ProxyLink
from .proxies import Proxies
from .purge import FolderWatch, PurgeWork
from .scopes import QuotaScopes
from .service import Folders
from .sharing import FolderSharing
from .usages import FolderUsages


@dataclass(frozen=True, slots=True)
class VFolders:
    """`works` are those of the background tasks."""

    folders: Folders
    creation: FolderCreation
    clones: FolderClones
    files: FolderFiles
    usages: FolderUsages
    hosts: FolderHosts
    sharing: FolderSharing
    scopes: QuotaScopes
    watch: FolderWatch
    limits: LimitWatch
    proxies: Proxies
    works: Mapping[str, TaskWork]


def make_vfolders(
    database: Database, changes: Changes, link: ProxyLink, ids: IdSource, clock: Clock
) -> VFolders:
    proxies = Proxies(link)
    creation = FolderCreation(database, changes, proxies, ids, clock)
    return VFolders(
        folders=Folders(database, changes, proxies),
        creation=creation,
        clones=FolderClones(changes, creation),
        files=FolderFiles(database, changes, proxies),
        usages=FolderUsages(proxies, clock),
        hosts=FolderHosts(database, changes, proxies),
        sharing=FolderSharing(database, changes, ids),
        scopes=QuotaScopes(database, changes, proxies),
        watch=FolderWatch(database, proxies, clock),
        limits=LimitWatch(database, proxies, clock),
        proxies=proxies,
        works={
            CLONE_FOLDER: CloneWork(database, proxies, clock),
            PURGE_FOLDER: PurgeWork(database, proxies, clock),
        },
    )


def routes(vfolders: VFolders) -> list[Route]:
    """Literal paths come before those with a folder."""
    return [
        *rest_hosts.routes(vfolders.hosts),
        *rest_sharing.routes(vfolders.sharing),
        *rest.routes(vfolders.folders, vfolders.creation, vfolders.clones, vfolders.usages),
        *rest_files.routes(vfolders.files),
    ]
