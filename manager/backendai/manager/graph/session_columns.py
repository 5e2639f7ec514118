"""What lists of sessions show, and by which columns they may be filtered and ordered."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.enums import ClusterMode, ClusterRole, SessionResult, SessionType
from backendai.common.lifecycle import SessionStatus
from backendai.manager.db import tables as t

from .columns import identifier, integer, text, time, word_of
from .minilang import Column, Condition, Join
from .pages import Listing

_s, _u, _p, _k = t.sessions, t.users, t.projects, t.kernels
_main = t.kernels.alias("main")
_creator = t.users.alias("creator")
_OWNER: Final = Join(_u, _u.c.id == _s.c.user_id)
_PROJECT: Final = Join(_p, _p.c.id == _s.c.project_id)
_MAIN: Final = Join(
    _main,
    sa.and_(
        _main.c.session_id == _s.c.id,
        # Written into the statement, as it is into the conditions of the indexes.
        _main.c.cluster_role == sa.literal(ClusterRole.MAIN.value, literal_execute=True),
    ),
)
_JOINED: Final = (
    _s.join(_u, _OWNER.on)
    .join(_creator, _creator.c.id == _s.c.created_by)
    .join(_p, _PROJECT.on)
    .join(_main, _MAIN.on)
)


def _schedulings(history: sa.FromClause) -> list[Condition]:
    """Those rows of the history with which a session came to be scheduled."""
    # Written into the statement, as it is into the condition of the index.
    status = sa.literal(SessionStatus.SCHEDULED.value, literal_execute=True)
    return [history.c.kernel_id.is_(None), history.c.to_status == status]


_later = t.history.alias("later")
# A join without a group: the database reads all of it, or looks for some, as there are many or few.
_LAST_SCHEDULING: Final = (
    sa.select(t.history.c.session_id, t.history.c.at)
    .where(
        *_schedulings(t.history),
        ~sa.exists().where(
            _later.c.session_id == t.history.c.session_id,
            *_schedulings(_later),
            _later.c.id > t.history.c.id,
        ),
    )
    .subquery("scheduled")
)
_SCHEDULED: Final = Join(_LAST_SCHEDULING, _LAST_SCHEDULING.c.session_id == _s.c.id, optional=True)
SHOWN: Final[list[sa.ColumnElement[Any]]] = [
    *_s.c,
    _u.c.email.label("user_email"),
    _u.c.full_name.label("full_name"),
    _creator.c.email.label("creator_email"),
    _p.c.name.label("project_name"),
    _main.c.id.label("main_kernel_id"),
    _main.c.image.label("main_image"),
    _main.c.architecture.label("main_architecture"),
]
# Columns that cost much to read, and the fields that show them.
_SHOWN_BY: Final[Mapping[str, frozenset[str]]] = {
    "bootstrap_script": frozenset(),
    "callback_url": frozenset(),
    "designated_agents": frozenset(),
    "environ": frozenset(),
    "preopen_ports": frozenset({"containers"}),
    "requested_slots": frozenset({"requested_slots"}),
    "resource_opts": frozenset({"resource_opts", "containers"}),
    "waiting": frozenset({"status_data"}),
}


def shown_for(fields: set[str]) -> list[sa.ColumnElement[Any]]:
    """Those of `SHOWN` that are needed for these fields of sessions."""
    return [
        column
        for column in SHOWN
        if column.key not in _SHOWN_BY or fields & _SHOWN_BY[str(column.key)]
    ]


def _on_some_kernel(condition: Condition) -> Condition:
    return sa.exists().where(_k.c.session_id == _s.c.id, condition)


def _on_agent() -> Column:
    """Filters look at all kernels of a session, orders at the main one."""
    return Column(_k.c.agent_id, text, _on_some_kernel, (_MAIN,), _main.c.agent_id)


# Those that tell where a session runs.
OF_AGENTS: Final = frozenset({"agent_id", "agent_ids", "agents"})
_COLUMNS: Final[Mapping[str, Column]] = {
    **{name: _on_agent() for name in OF_AGENTS},
    "access_key": Column(_s.c.access_key, text),
    "cluster_mode": Column(_s.c.cluster_mode, word_of(ClusterMode)),
    "cluster_size": Column(_s.c.cluster_size, integer),
    "created_at": Column(_s.c.created_at, time),
    "domain_name": Column(_s.c.domain_name, text),
    "full_name": Column(_u.c.full_name, text, joins=(_OWNER,)),
    "group_name": Column(_p.c.name, text, joins=(_PROJECT,)),
    "id": Column(_s.c.id, identifier),
    "image": Column(_main.c.image, text, joins=(_MAIN,)),
    "name": Column(_s.c.name, text),
    "priority": Column(_s.c.priority, integer, filterable=False),
    "result": Column(_s.c.result, word_of(SessionResult)),
    "scaling_group": Column(_s.c.resource_group, text),
    "scheduled_at": Column(_LAST_SCHEDULING.c.at, time, joins=(_SCHEDULED,)),
    "starts_at": Column(_s.c.starts_at, time),
    "startup_command": Column(_s.c.startup_command, text, orderable=False),
    "status": Column(_s.c.status, word_of(SessionStatus)),
    "status_info": Column(_s.c.status_info, text),
    "terminated_at": Column(_s.c.ended_at, time),
    "type": Column(_s.c.type, word_of(SessionType)),
    "user_email": Column(_u.c.email, text, joins=(_OWNER,)),
}
_NEWEST_FIRST: Final = (_s.c.created_at.desc(),)
SESSIONS: Final = Listing(_s, _s.c.id, _JOINED, _COLUMNS, _NEWEST_FIRST)
# For those to whom nodes are not shown: what may be asked of them would tell as much.
SESSIONS_ANYWHERE: Final = Listing(
    _s,
    _s.c.id,
    _JOINED,
    {name: column for name, column in _COLUMNS.items() if name not in OF_AGENTS},
    _NEWEST_FIRST,
)
