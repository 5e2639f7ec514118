"""The filter and order languages, compiled to SQL with bound values."""

import contextlib

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from backendai.manager.graph.minilang import Column, MinilangError, compile_filter, compile_order

NAME = sa.column("name", sa.Text)
SIZE = sa.column("size", sa.Integer)
COLUMNS = {"name": Column(NAME, str), "size": Column(SIZE, int)}


def compiled(text: str) -> tuple[str, list[object]]:
    made = compile_filter(text, COLUMNS).compile()
    return str(made), [value for _, value in sorted(made.params.items())]


@pytest.mark.parametrize(
    ("text", "sql", "values"),
    [
        ('name == "a"', "name = :name_1", ["a"]),
        ('name != "a"', "name != :name_1", ["a"]),
        ("size >= 3", "size >= :size_1", [3]),
        ("name is null", "name IS NULL", []),
        ("name isnot null", "name IS NOT NULL", []),
        ('name == "a" & size < 2 | size > 5', None, ["a", 2, 5]),
        ('!(name == "a")', "name != :name_1", ["a"]),
        ('name == "\\"quoted\\""', "name = :name_1", ['"quoted"']),
    ],
)
def test_expressions_become_sql(text: str, sql: str | None, values: list[object]) -> None:
    statement, bound = compiled(text)
    assert sql is None or statement == sql
    assert bound == values


def test_and_binds_stronger_than_or() -> None:
    statement, _ = compiled('name == "a" | name == "b" & size == 1')
    assert statement == ("name = :name_1 OR name = :name_2 AND size = :size_1")


@given(st.text(max_size=60))
def test_any_text_is_refused_or_compiled(text: str) -> None:
    for run in (
        lambda: compile_filter(text, COLUMNS),
        lambda: compile_filter(f'name == "{text}"', COLUMNS),
        lambda: compile_order(text, {"name": NAME}),
    ):
        with contextlib.suppress(MinilangError):
            run()


@given(st.text(max_size=60))
def test_values_are_always_bound(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    statement, bound = compiled(f'name == "{quoted}"')
    assert statement == "name = :name_1"
    assert bound == [text]


def test_orders_name_known_columns_only() -> None:
    terms = compile_order("-name, +name,name", {"name": NAME})
    assert [str(term) for term in terms] == ["name DESC", "name ASC", "name ASC"]
    for bad in ("", "secret", "name desc", "--name", ",".join(["name"] * 17)):
        with pytest.raises(MinilangError):
            compile_order(bad, {"name": NAME})
