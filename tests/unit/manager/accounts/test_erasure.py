"""What goes with a purged account is found by the tables' references, so none is forgotten."""

import pytest
import sqlalchemy as sa

from backendai.manager.accounts.erasure import plan_erasure
from backendai.manager.db import tables as t


@pytest.mark.parametrize("table", [t.users, t.projects, t.domains, t.keypairs])
def test_children_go_before_their_parents(table: sa.Table) -> None:
    plan = list(plan_erasure(table, sa.true()))
    assert plan[-1].table is table
    last = {each.table: index for index, each in enumerate(plan) if each.column is None}
    first: dict[sa.Table, int] = {}
    for index, each in enumerate(plan):
        first.setdefault(each.table, index)
    for parent, at in last.items():
        for child in t.metadata.sorted_tables:
            if any(key.column.table is parent for key in child.foreign_keys):
                assert first[child] < at, (child.name, parent.name)


def test_what_may_do_without_a_reference_only_loses_it() -> None:
    metadata = sa.MetaData()
    parent = sa.Table("parents", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table(
        "notes",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.Integer, sa.ForeignKey("parents.id")),
    )
    plan = list(plan_erasure(parent, parent.c.id == 1))
    assert [(each.table.name, each.column) for each in plan] == [
        ("notes", "parent_id"),
        ("parents", None),
    ]
