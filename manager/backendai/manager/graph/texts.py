"""PURE: values as GraphQL carries them: maps as JSON text, ids as text."""

import uuid

import msgspec

from backendai.common.faults import BadRequest


def json_text(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")


def read_id(value: object) -> uuid.UUID:
    """Raises BadRequest."""
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise BadRequest(f"{str(value)[:64]!r} is no id") from None
