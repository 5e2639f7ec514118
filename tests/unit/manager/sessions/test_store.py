"""Statements that are built for each request."""

from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Scope
from backendai.manager.sessions.store import select_meant


def test_no_request_copies_the_columns_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    copy = sa.Column._make_proxy

    def count(column: sa.Column[Any], *rest: Any, **more: Any) -> Any:
        copied.append(column.name)
        return copy(column, *rest, **more)

    select_meant(Scope(access_key="AK"), "demo")
    monkeypatch.setattr(sa.Column, "_make_proxy", count)
    select_meant(Scope(access_key="AK"), "demo")
    assert len(copied) < len(t.sessions.c) / 2
