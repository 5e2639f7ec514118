"""What a check takes, and its schema, say the same."""

import trafaret as t

from backendai.manager.gate.shapes import describe_key, is_required, keys_of, schema_of


def test_an_object_names_its_keys() -> None:
    shape = t.Dict(
        t.Key("name", trafaret=t.String(max_length=8)),
        t.Key("count", optional=True, default=20, trafaret=t.ToInt(gte=1, lte=100)),
        t.Key("flag", optional=True, trafaret=t.ToBool()),
    )
    assert schema_of(shape) == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 8},
            "count": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "flag": {"type": "boolean"},
        },
        "additionalProperties": False,
        "required": ["name"],
    }


def test_more_is_allowed_where_it_is_ignored() -> None:
    assert schema_of(t.Dict(t.Key("a")).ignore_extra("*"))["additionalProperties"] is True


def test_values_of_each_kind() -> None:
    assert schema_of(t.Enum("a", "b")) == {"enum": ["a", "b"]}
    assert schema_of(t.Regexp(r"[a-z]+\Z")) == {"type": "string", "pattern": "^(?:[a-z]+$)"}
    assert schema_of(t.Null() | t.Int()) == {"anyOf": [{"type": "null"}, {"type": "integer"}]}
    assert schema_of(t.Mapping(t.String(), t.Float(gt=0))) == {
        "type": "object",
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
    }
    assert schema_of(t.List(t.Bool(), min_length=1, max_length=3)) == {
        "type": "array",
        "items": {"type": "boolean"},
        "minItems": 1,
        "maxItems": 3,
    }


def test_code_behind_a_check_leaves_the_schema_wider() -> None:
    def refuse(_: str) -> str:
        raise t.DataError("never")

    assert schema_of(t.String(allow_blank=True) & refuse) == {"type": "string"}
    assert schema_of(t.Call(refuse)) == {}
    assert keys_of(t.Dict(t.Key("a")) & refuse)[0].name == "a"
    assert keys_of(t.Any) == []


def test_a_default_makes_a_key_optional() -> None:
    key = t.Key("mode", default="query", trafaret=t.String())
    assert not is_required(key)
    assert describe_key(key)["default"] == "query"
    assert is_required(t.Key("mode"))
