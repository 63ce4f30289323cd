"""The JSON schema of one event, as rows of the plan; what rows cannot say is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.tracking_plan.asking import refused_pattern
from orchestration.tracking_plan.places import Place
from orchestration.tracking_plan.rows import CONTROLS, TYPES, PlanRow, Scalar, is_of, is_scalar

ENVELOPE = ("context", "traits", "properties")
"""The parts of a call that Segment's schemas are about; an event's own are its properties."""

SAYS_NOTHING = frozenset(
    {
        "$schema", "$id", "id", "$comment", "title", "description", "default", "examples",
        "deprecated", "readOnly", "writeOnly", "labels", "eventMetadata",
    }
)  # fmt: skip
"""Keywords that refuse no value: json-schema.org, "Annotations", and two of Segment's own."""

JSON_TYPES = tuple(word for word in TYPES if word != "date-time")
SCHEMA = ("a JSON schema: an object, true or false",)


@dataclass(frozen=True, slots=True)
class NotCarried:
    """Something of a rule that the plan file cannot say; `property` is empty for the event."""

    event: str
    property: str
    keyword: str
    why: str


@dataclass(slots=True)
class _Told:
    """Collects what is not carried over of one event."""

    event: str
    into: list[NotCarried]

    def __call__(self, name: str, keyword: str, why: str) -> None:
        self.into.append(NotCarried(self.event, name, keyword, why))

    def rest(
        self, name: str, schema: Mapping[str, Any], known: frozenset[str], of: str = ""
    ) -> None:
        """Tell each keyword that is not known, and would refuse something."""
        for keyword, value in schema.items():
            if keyword not in known | SAYS_NOTHING and not _refuses_nothing(keyword, value):
                self(name, f"{of}{keyword}", "the plan file has no word for it")


def rows_of(
    event: str, schema: object, place: Place, not_carried: list[NotCarried]
) -> Iterator[PlanRow]:
    """Yield the property rows of an event's schema; `not_carried` takes what they cannot say.

    Raises:
        DataError: it is not a schema; names the place.
    """
    tell = _Told(event, not_carried)
    found = place.mapping(schema, "the event's schema", ("a JSON schema: an object",))
    inner, place = _of_properties(found, place, tell)
    properties, place_of = _part(inner, "properties", place)
    required = _required(inner, place)
    tell.rest("", inner, frozenset({"type", "properties", "required"}), "properties.")
    _tell_object(inner, tell)
    for name in (*properties, *(name for name in required if name not in properties)):
        here = place_of / name
        here.text(name, "a property's name")
        if not name.strip():
            raise here.wrong(f"{name!r} is no name", ("one that is not only blanks",))
        yield _row(event, name, properties.get(name, True), here, tell, name in required)


def _of_properties(
    schema: Mapping[str, Any], place: Place, tell: _Told
) -> tuple[Mapping[str, Any], Place]:
    """Return the schema of an event's properties, out of the call's if that is around it."""
    parts, place_of = _part(schema, "properties", place)
    around = bool(parts) and set(parts) <= set(ENVELOPE)
    if not around:
        return schema, place
    for part in ("context", "traits"):
        if _refuses(parts.get(part)):
            tell("", part, "the plan file is about an event's properties only")
    known = frozenset({"type", "properties", "required"})
    tell.rest("", schema, known)
    for name in _required(schema, place):
        if name != "properties":
            tell("", f"required: {name}", "the plan file is about an event's properties only")
    inner = parts.get("properties", True)
    inner = {} if inner is True else inner
    return (place_of / "properties").mapping(inner, "a schema", SCHEMA), place_of / "properties"


def _part(schema: Mapping[str, Any], key: str, place: Place) -> tuple[Mapping[str, Any], Place]:
    here = place / key
    return here.mapping(schema.get(key, {}), "the properties", ("an object, one key each",)), here


def _required(schema: Mapping[str, Any], place: Place) -> list[str]:
    accepted = ("a list of names",)
    here = place / "required"
    found = here.items(schema.get("required") or [], accepted)
    for index, name in enumerate(found):
        if not isinstance(name, str):
            raise here[index].wrong(f"{name!r} is no name", accepted)
    return list(dict.fromkeys(found))


def _tell_object(schema: Mapping[str, Any], tell: _Told) -> None:
    words = schema.get("type", "object")
    if "object" not in (words if isinstance(words, list) else [words]):
        tell("", "properties.type", f"properties are an object, not {words!r}")


def _row(
    event: str, name: str, schema: object, place: Place, tell: _Told, required: bool
) -> PlanRow:
    if isinstance(schema, bool):
        if not schema:
            tell(name, "false", "the plan file cannot refuse a property")
        return PlanRow(event, name, required=required)
    found = place.mapping(schema, "a property's schema", SCHEMA)
    tell.rest(name, found, frozenset({"type", "enum", "pattern", "format"}))
    types = _types(name, found, place, tell)
    return PlanRow(
        event,
        name,
        types=types,
        required=required,
        allowed_values=_values(name, found, types, place, tell),
        pattern=_pattern(name, found, place, tell),
    )


def _types(name: str, schema: Mapping[str, Any], place: Place, tell: _Told) -> tuple[str, ...]:
    here = place / "type"
    given = schema.get("type", [])
    words = [given] if isinstance(given, str) else here.items(given, JSON_TYPES)
    if "type" in schema and not words:
        raise here.wrong("the list is empty", JSON_TYPES)
    for word in words:
        if word not in JSON_TYPES:
            raise here.wrong(f"{word!r} is no type", JSON_TYPES)
    words = list(dict.fromkeys(words))
    form = schema.get("format")
    if form is None:
        return tuple(words)
    if form == "date-time" and "string" in words:
        return tuple("date-time" if word == "string" else word for word in words)
    why = "the plan file knows date-time only" if form != "date-time" else "its type is not string"
    tell(name, f"format: {form}", why)
    return tuple(words)


def _values(
    name: str, schema: Mapping[str, Any], types: Sequence[str], place: Place, tell: _Told
) -> tuple[Scalar, ...]:
    if "enum" not in schema:
        return ()
    values = (place / "enum").items(schema["enum"], ("a list of values",))
    if not values:
        tell(name, "enum", "it is empty, and the plan file cannot refuse every value")
    elif not all(map(is_scalar, values)):
        tell(name, "enum", "a value is a list, an object, or no text that UTF-8 can say")
    elif types and not any(is_of(value, types) for value in values):
        tell(name, "enum", "none of its values is of its type, so every value would be refused")
    else:
        return tuple(values)
    return ()


def _pattern(name: str, schema: Mapping[str, Any], place: Place, tell: _Told) -> str:
    pattern = schema.get("pattern", "")
    if not isinstance(pattern, str):
        raise (place / "pattern").wrong(f"{pattern!r} is no pattern", ("a regular expression",))
    if CONTROLS.search(pattern) or not is_scalar(pattern):
        tell(name, "pattern", "it holds a control character; \\n and the like can be written out")
        return ""
    refused = refused_pattern(pattern) if pattern else None
    if refused:
        tell(name, "pattern", f"RE2 cannot search with it: {refused}")
        return ""
    return pattern


def _refuses(schema: object) -> bool:
    """Say whether a schema of `context` or `traits` refuses more than what is no object."""
    if not isinstance(schema, Mapping):
        return schema is False
    told = SAYS_NOTHING | {"type"}
    return any(key not in told and not _refuses_nothing(key, schema[key]) for key in schema)


def _refuses_nothing(keyword: str, value: object) -> bool:
    """Say whether a keyword is there without a meaning, as Segment's exports have some."""
    if keyword in ("additionalProperties", "additionalItems", "unevaluatedProperties"):
        return value is True or value == {}
    return value is None or (value in ({}, []) and keyword not in ("oneOf", "anyOf", "not"))
