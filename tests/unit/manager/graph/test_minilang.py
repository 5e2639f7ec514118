"""The filter and order languages, compiled to SQL with bound values."""

import contextlib

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from backendai.manager.graph.columns import boolean
from backendai.manager.graph.minilang import Column, MinilangError, compile_filter, compile_order

NAME = sa.column("name", sa.Text)
SIZE = sa.column("size", sa.Integer)
PUBLIC = sa.column("is_public", sa.Boolean)
COLUMNS = {
    "name": Column(NAME, str),
    "size": Column(SIZE, int),
    "is_public": Column(PUBLIC, boolean),
}


def compiled(text: str) -> tuple[str, list[object]]:
    made = compile_filter(text, COLUMNS).condition.compile()
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
        ("is_public != true", "is_public != true", []),
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
        lambda: compile_order(text, {"name": Column(NAME, str)}),
    ):
        with contextlib.suppress(MinilangError):
            run()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_values_are_always_bound(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    statement, bound = compiled(f'name == "{quoted}"')
    assert statement == "name = :name_1"
    assert bound == [text]


def test_orders_name_known_columns_only() -> None:
    terms = compile_order("-name, +name,name", {"name": Column(NAME, str)}).terms
    assert [str(term) for term in terms] == ["name DESC", "name ASC", "name ASC"]
    for bad in ("", "secret", "name desc", "--name", ",".join(["name"] * 17)):
        with pytest.raises(MinilangError):
            compile_order(bad, {"name": Column(NAME, str)})


@pytest.mark.parametrize(
    "text",
    [
        'name like "x' + "\\" * 6 + '"',
        'name like "a zero byte \x00"',
        'name == "half a character \ud800"',
        "name in " + "[" * 5000,
        "name in [[1], 2]",
        "name like 5",
        'name > ["a"]',
        "name > null",
        "is_public > true",
        'is_public <= "no"',
    ],
)
def test_what_a_database_would_refuse_is_told_before(text: str) -> None:
    with pytest.raises(MinilangError):
        compile_filter(text, COLUMNS)


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ('name is "a"', "name IS NOT DISTINCT FROM :name_1"),
        ('name isnot "a"', "name IS DISTINCT FROM :name_1"),
        ("name == null", "name IS NULL"),
        ("name != null", "name IS NOT NULL"),
    ],
)
def test_identity_knows_null(text: str, sql: str) -> None:
    assert compiled(text)[0] == sql


def test_a_column_is_for_filters_or_orders_or_both() -> None:
    table = {
        "name": Column(NAME, str, orderable=False),
        "size": Column(SIZE, int, filterable=False, order=sa.func.abs(SIZE)),
    }
    assert compile_filter('name == "a"', table).columns == [table["name"]]
    made = compile_order("-size", table)
    assert [str(term) for term in made.terms] == ["abs(size) DESC"]
    assert made.columns == [table["size"]]
    with pytest.raises(MinilangError, match="known: name"):
        compile_filter("size == 1", table)
    with pytest.raises(MinilangError, match="known: size"):
        compile_order("name", table)
