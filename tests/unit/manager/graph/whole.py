"""The whole graph as a manager builds it, on any database; nothing is frozen."""

from backendai.common.clock import SystemClock
from backendai.common.ids import SystemIds
from backendai.common.secretfile import KEY_BYTES
from backendai.common.settings.sections import DbSettings
from backendai.manager.accounts.secretbox import SecretBox
from backendai.manager.accounts.service import make_accounts
from backendai.manager.audit.change import Changes
from backendai.manager.db.engine import Database, open_database
from backendai.manager.graph.execute import Graph
from backendai.manager.graph.roots import make_graph
from backendai.manager.graph.use_cases import UseCases
from backendai.manager.vfolders.assembly import make_vfolders
from backendai.manager.vfolders.link import ProxyLink


def make_whole(database: Database) -> Graph:
    accounts = make_accounts(SystemIds(), SecretBox(bytes(KEY_BYTES)))
    clock = SystemClock()
    changes = Changes(database, clock, lambda: None)
    vfolders = make_vfolders(database, changes, ProxyLink(), SystemIds(), clock)
    return make_graph(database, UseCases(changes, accounts, vfolders, lambda: None))


def make_unconnected() -> Graph:
    """Its database is never connected to: for what is decided before."""
    return make_whole(open_database(DbSettings(), "test"))
