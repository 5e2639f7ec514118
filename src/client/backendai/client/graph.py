"""GraphQL over a channel: documents written from the types of their answers, refusals as faults."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, get_args, get_origin

import msgspec

from backendai.client.channel import Channel, convert, decode
from backendai.client.refusals import refusal
from backendai.common.faults import GraphQLFault

S = TypeVar("S", bound=msgspec.Struct)
# Argument -> its type in the schema, such as `String!`.
Types = Mapping[str, str]

NO_FIELDS: Final = ""
# The server gives no more at once.
PAGE_SIZE: Final = 100


class _Page(msgspec.Struct, frozen=True):
    items: tuple[dict[str, Any], ...]
    total_count: int


class Graph:
    """Reads and changes of one user. An argument None is not said."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(
        self, kind: type[S], root: str, types: Types, args: Mapping[str, Any]
    ) -> tuple[S, ...]:
        found = await self._ask("query", root, types, args, fields_of(kind))
        return tuple(read_row(kind, row) for row in found or ())

    async def list_pages(
        self,
        kind: type[S],
        root: str,
        types: Types,
        args: Mapping[str, Any],
        *,
        rows_max: int | None = None,
    ) -> tuple[S, ...]:
        """All rows of a root that has pages, or the first `rows_max`, a page at a time."""
        fields = f"items {{ {fields_of(kind)} }} total_count"
        types = {"limit": "Int!", "offset": "Int!", **types}
        rows: list[S] = []
        while rows_max is None or len(rows) < rows_max:
            size = PAGE_SIZE if rows_max is None else min(PAGE_SIZE, rows_max - len(rows))
            part = {"limit": size, "offset": len(rows)}
            page = convert(_Page, await self._ask("query", root, types, {**part, **args}, fields))
            rows += [read_row(kind, row) for row in page.items]
            if not page.items or len(rows) >= page.total_count:
                break
        return tuple(rows)

    async def find(
        self, kind: type[S], root: str, types: Types, args: Mapping[str, Any]
    ) -> S | None:
        found = await self._ask("query", root, types, args, fields_of(kind))
        return None if found is None else read_row(kind, found)

    async def change(
        self, root: str, types: Types, args: Mapping[str, Any], more: str = NO_FIELDS
    ) -> Mapping[str, Any]:
        """The answer of a mutation with the fields `more`. Raises the fault of a refusal; it is
        never asked twice, because the first may have been done."""
        answer = await self._ask("mutation", root, types, args, f"ok msg {more}".strip())
        if not (answer or {}).get("ok"):
            raise refusal(str((answer or {}).get("msg") or "It was refused without a word."))
        return dict(answer)

    async def change_shown(
        self, root: str, types: Types, args: Mapping[str, Any], fields: str
    ) -> Mapping[str, Any]:
        """As `change`, of a mutation whose answer has no `ok`: it refuses by an error."""
        try:
            return dict(await self._ask("mutation", root, types, args, fields) or {})
        except GraphQLFault as fault:
            raise refusal(str(fault.detail or fault)) from fault

    async def _ask(
        self, operation: str, root: str, types: Types, args: Mapping[str, Any], fields: str
    ) -> Any:
        given = {name: value for name, value in args.items() if value is not None}
        document = write_document(operation, root, {name: types[name] for name in given}, fields)
        data = await self._channel.query(document, given, repeatable=operation == "query")
        return data.get(root)


def write_document(operation: str, root: str, types: Types, fields: str) -> str:
    """`query($id: ID) { user(id: $id) { name } }`. Pure."""
    declared = ", ".join(f"${name}: {kind}" for name, kind in types.items())
    passed = ", ".join(f"{name}: ${name}" for name in types)
    head = f"({declared})" if types else ""
    arguments = f"({passed})" if types else ""
    return f"{operation}{head} {{ {root}{arguments} {{ {fields} }} }}"


def fields_of(kind: type[msgspec.Struct]) -> str:
    """The selection that fills a struct, nested ones too. Pure."""
    return " ".join(_field_of(field) for field in msgspec.structs.fields(kind))


def read_row(kind: type[S], row: Mapping[str, Any]) -> S:
    """A struct of an answer; objects that travel as JSON text are read. Raises UnexpectedAnswer."""
    texts = {field.encode_name for field in msgspec.structs.fields(kind) if _is_object(field.type)}
    read = {
        name: decode(dict[str, Any], value.encode())
        if name in texts and isinstance(value, str)
        else value
        for name, value in row.items()
    }
    return convert(kind, read)


def write_row(props: Mapping[str, Any]) -> dict[str, Any]:
    """Properties in the form of the wire: objects travel as JSON text. Pure."""
    return {
        name: msgspec.json.encode(value).decode() if isinstance(value, Mapping) else value
        for name, value in props.items()
    }


def _is_object(kind: Any) -> bool:
    return get_origin(kind) is dict or any(get_origin(each) is dict for each in get_args(kind))


def _field_of(field: msgspec.structs.FieldInfo) -> str:
    inner = next(_structs_in(field.type), None)
    if inner is not None:
        return f"{field.encode_name} {{ {fields_of(inner)} }}"
    return field.encode_name


def _structs_in(kind: Any) -> Iterator[Any]:
    """Also those of lists that may be null."""
    if _is_struct(kind):
        yield kind
    for part in get_args(kind):
        yield from _structs_in(part)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
