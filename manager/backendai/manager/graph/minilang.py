"""PURE: the filter and order languages of list queries, compiled to SQLAlchemy expressions.

Values only ever become bound parameters. Sizes are bounded, so that no expression costs much.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import sqlalchemy as sa

CHARS_MAX: Final = 8192
TERMS_MAX: Final = 100
DEPTH_MAX: Final = 16
ORDER_COLUMNS_MAX: Final = 16

_TOKEN: Final = re.compile(
    r"\s*(?:"
    r'(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?\d{1,30}(?:\.\d{1,30})?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<sign>==|!=|>=|<=|>|<|[&|()!\[\],])"
    r")",
    re.ASCII,
)
_OPERATORS: Final = frozenset(
    {"==", "!=", ">", ">=", "<", "<=", "contains", "in", "is", "isnot", "like", "ilike"}
)
_LITERALS: Final[Mapping[str, object]] = {"true": True, "false": False, "null": None}

Condition = sa.ColumnElement[bool]


class MinilangError(ValueError):
    """What is wrong with an expression, for its author."""


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """A table beside the list's own, with one row for each of its rows.

    `optional`: or with none. Else the database may come to the rows from either table.
    """

    table: sa.FromClause
    on: Condition
    optional: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column that may be named. `read` makes what the database compares from a value.

    `wrap` puts a condition on `expression` into one on the row, such as "exists a kernel with".
    `joins` are the tables that `expression` needs. `order` stands for `expression` in orders.
    """

    expression: sa.ColumnElement[Any]
    read: Callable[[Any], Any]
    wrap: Callable[[Condition], Condition] = lambda condition: condition
    joins: tuple[Join, ...] = ()
    order: sa.ColumnElement[Any] | None = None
    filterable: bool = True
    orderable: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """A condition, and the columns that it names."""

    condition: Condition
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """ORDER BY terms, and the columns that they name."""

    terms: Sequence[sa.ColumnElement[Any]]
    columns: Sequence[Column]


def compile_filter(text: str, columns: Mapping[str, Column]) -> Filter:
    """A condition from `name == "a" & (status in ["RUNNING"] | !(image like "%x%"))`."""
    _check_text(text)
    parser = _Parser(_tokens(text), columns)
    condition = parser.alternatives(0)
    if parser.peek() is not None:
        parser.fail()
    return Filter(condition, parser.used)


def compile_order(text: str, columns: Mapping[str, Column]) -> Order:
    """ORDER BY terms from `-created_at,name`."""
    _check_text(text)
    terms = [term.strip() for term in text.split(",")]
    if len(terms) > ORDER_COLUMNS_MAX:
        raise MinilangError(f"more than {ORDER_COLUMNS_MAX} columns")
    known = {name: column for name, column in columns.items() if column.orderable}
    used = [_named(term[1:] if term[:1] in ("+", "-") else term, known) for term in terms]
    return Order([_order_term(*pair) for pair in zip(terms, used, strict=True)], used)


def _order_term(term: str, column: Column) -> sa.ColumnElement[Any]:
    expression = column.expression if column.order is None else column.order
    return expression.desc() if term.startswith("-") else expression.asc()


def _check_text(text: str) -> None:
    """Raises MinilangError for what is too long, and for what no database can store as text."""
    if len(text) > CHARS_MAX:
        raise MinilangError(f"longer than {CHARS_MAX} characters")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise MinilangError("there are characters that are no text")


def _named(name: str, columns: Mapping[str, Column]) -> Column:
    if name not in columns:
        raise MinilangError(f"unknown column {name[:64]!r}; known: {', '.join(sorted(columns))}")
    return columns[name]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise MinilangError(f"cannot read {text[place : place + 20]!r} at {place}")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], place))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent: `|` binds weakest, then `&`, then `!`."""

    def __init__(self, tokens: list[_Token], columns: Mapping[str, Column]) -> None:
        self.used: list[Column] = []
        self._tokens = tokens
        self._columns = {name: column for name, column in columns.items() if column.filterable}
        self._next = 0
        self._terms = 0

    def peek(self) -> str | None:
        return self._tokens[self._next].text if self._next < len(self._tokens) else None

    def fail(self) -> NoReturn:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            raise MinilangError(f"unexpected {token.text[:32]!r} at {token.place}")
        raise MinilangError("the expression ends too early")

    def alternatives(self, depth: int) -> Condition:
        parts = [self._conjunction(depth)]
        while self._take_sign("|"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else sa.or_(*parts)

    def _conjunction(self, depth: int) -> Condition:
        parts = [self._factor(depth)]
        while self._take_sign("&"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else sa.and_(*parts)

    def _factor(self, depth: int) -> Condition:
        if depth > DEPTH_MAX:
            raise MinilangError(f"nested more than {DEPTH_MAX} deep")
        if self._take_sign("!"):
            return sa.not_(self._factor(depth + 1))
        if self._take_sign("("):
            inner = self.alternatives(depth + 1)
            if not self._take_sign(")"):
                self.fail()
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise MinilangError(f"more than {TERMS_MAX} comparisons")
        name = self._take("word")
        column = _named(name, self._columns)
        self.used.append(column)
        operator = self._take("word", "sign")
        if operator not in _OPERATORS:
            raise MinilangError(
                f"unknown operator {operator[:16]!r}; known: {', '.join(sorted(_OPERATORS))}"
            )
        return column.wrap(_compare(column, name, operator, self._value()))

    def _value(self) -> object:
        if self._take_sign("["):
            values: list[object] = []
            while not self._take_sign("]"):
                values.append(self._single())
                if self.peek() != "]" and not self._take_sign(","):
                    self.fail()
            return values
        return self._single()

    def _single(self) -> object:
        place = self._next
        text = self._take("string", "number", "word")
        match self._tokens[place].kind:
            case "string":
                return re.sub(r"\\(.)", r"\1", text[1:-1])
            case "number":
                return float(text) if "." in text else int(text)
        if text.lower() not in _LITERALS:
            self._next = place
            self.fail()
        return _LITERALS[text.lower()]

    def _take(self, *kinds: str) -> str:
        if self._next >= len(self._tokens) or self._tokens[self._next].kind not in kinds:
            self.fail()
        self._next += 1
        return self._tokens[self._next - 1].text

    def _take_sign(self, sign: str) -> bool:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            if token.kind == "sign" and token.text == sign:
                self._next += 1
                return True
        return False


def _compare(column: Column, name: str, operator: str, value: object) -> Condition:
    target = column.expression
    if operator in ("is", "isnot") or (value is None and operator in ("==", "!=")):
        return _compare_identity(column, name, value, negated=operator in ("isnot", "!="))
    if operator == "in":
        values = value if isinstance(value, list) else [value]
        return target.in_([_read(column, name, each) for each in values])
    if isinstance(value, list) or value is None:
        raise MinilangError(f"{operator} needs one value")
    if operator in ("contains", "like", "ilike"):
        return _compare_pattern(target, operator, value)
    read = _read(column, name, value)
    if isinstance(read, bool) and operator not in ("==", "!="):
        raise MinilangError(f"{name} is true or false, which {operator} does not compare")
    by_sign: dict[str, Callable[[], Condition]] = {
        "==": lambda: target == read,
        "!=": lambda: target != read,
        ">": lambda: target > read,
        ">=": lambda: target >= read,
        "<": lambda: target < read,
        "<=": lambda: target <= read,
    }
    return by_sign[operator]()


def _compare_identity(column: Column, name: str, value: object, *, negated: bool) -> Condition:
    target = column.expression
    if value is None:
        return target.is_not(None) if negated else target.is_(None)
    read = _read(column, name, value)
    return target.is_distinct_from(read) if negated else target.is_not_distinct_from(read)


def _compare_pattern(target: sa.ColumnElement[Any], operator: str, value: object) -> Condition:
    if not isinstance(value, str):
        raise MinilangError(f"{operator} needs text")
    as_text = sa.cast(target, sa.Text)
    # The database's own language tells no other cases of ASCII letters, and takes twice as long.
    in_any_case = as_text.collate("C") if value.isascii() else as_text
    if operator == "contains":
        return in_any_case.icontains(value, autoescape=True)
    if (len(value) - len(value.rstrip("\\"))) % 2:
        raise MinilangError(f"the pattern of {operator} ends with an escape of nothing")
    return as_text.like(value) if operator == "like" else in_any_case.ilike(value)


def _read(column: Column, name: str, value: object) -> Any:
    try:
        return column.read(value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise MinilangError(f"{name} cannot be compared with {str(value)[:64]!r}") from error
