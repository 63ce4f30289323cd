"""Segment's JSON forms: what they say is carried over, or told; what they cannot say is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from destinations.errors import DataError
from orchestration.tracking_plan.documents import read_json
from orchestration.tracking_plan.rows import PlanRow
from orchestration.tracking_plan.segment import SegmentPlan, from_segment
from orchestration.tracking_plan.writing import plan_text

EXAMPLE = Path(__file__).with_name("segment_plan.json")


def schema(properties: dict[str, Any], **inner: Any) -> dict[str, Any]:
    around = {
        "context": {},
        "traits": {},
        "properties": {"type": "object", "properties": properties, **inner},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": around,
    }


def track(key: Any, properties: dict[str, Any] | None = None, **inner: Any) -> dict[str, Any]:
    return {
        "key": key,
        "type": "TRACK",
        "version": 1,
        "jsonSchema": schema(properties or {}, **inner),
    }


def of(property_schema: Any, **inner: Any) -> SegmentPlan:
    return from_segment({"rules": [track("E", {"p": property_schema}, **inner)]}, "plan.json")


def losses(plan: SegmentPlan) -> list[tuple[str, str]]:
    return [(one.property, one.keyword) for one in plan.not_carried]


def refused(document: Any) -> DataError:
    with pytest.raises(DataError) as raised:
        from_segment(document, "plan.json")
    assert raised.value.file == "plan.json"
    assert raised.value.accepted
    return raised.value


def test_the_example() -> None:
    plan = from_segment(read_json(EXAMPLE), EXAMPLE.name)
    assert plan.whole
    assert PlanRow("Order Completed", "coupon", required=True) in plan.rows, (
        "required, not declared"
    )
    assert plan_text(plan.rows).splitlines()[10:20] == [
        "Order Completed,billing,object,false,,,",
        'Order Completed,campaign,string,false,"[""spring|summer"",""none""]",,',
        "Order Completed,coupon,,true,,,",
        "Order Completed,currency,string,false,EUR|USD|GBP,,",
        "Order Completed,order_id,,true,,,",
        "Order Completed,products,array,false,,,",
        "Order Completed,receipt_email,string,false,,,",
        'Order Completed,seats,integer,false,"[1,5,10,25]",,',
        "Order Completed,total,number,true,,,",
        "Session Started,,,,,,",
    ]
    assert plan_text(plan.rows).splitlines()[20:] == [
        r"Session Started,app_version,string,false,,^\d+\.\d+\.\d+$,",
        'Session Started,plan,string|null,false,"[""free"",""pro"",""business"",null]",,',
        "Session Started,platform,string,true,web|ios|android,,",
        "Session Started,started_at,date-time,true,,,",
        "Signed Out,,,,,,",
    ]
    assert [(one.place, one.name) for one in plan.skipped] == [
        ("data.rules[6]", ""),
        ("data.rules[7]", ""),
        ("data.rules[8]", "Pricing"),
        ("data.rules[3]", "Order Completed"),
    ]
    assert [(one.event, one.property, one.keyword) for one in plan.not_carried] == [
        ("Feature Used", "seconds", "minimum"),
        ("Feature Used", "tags", "items"),
        ("Order Completed", "", "properties.additionalProperties"),
        ("Order Completed", "total", "exclusiveMinimum"),
        ("Order Completed", "receipt_email", "format: email"),
        ("Order Completed", "products", "items"),
        ("Order Completed", "billing", "properties"),
        ("Order Completed", "billing", "required"),
        ("Invite Sent", "", "deprecatedAt"),
        ("Invite Sent", "code", "maxLength"),
        ("Invite Sent", "code", "pattern"),
    ]


RULE = track("Paid", {"sum": {"type": "number"}}, required=["sum"])
EVENT = {"name": "Paid", "description": "Money.", "version": 3, "rules": RULE["jsonSchema"]}
FLAT = {
    "key": "Paid",
    "type": "TRACK",
    "jsonSchema": {
        "type": "object",
        "labels": {},
        "eventMetadata": {"name": "Paid", "type": "TRACK"},
        "properties": {"sum": {"id": "/properties/sum", "type": "number"}},
        "required": ["sum"],
    },
}


@pytest.mark.parametrize(
    "document",
    [
        {"rules": [RULE]},
        {"data": {"rules": [RULE], "pagination": {"current": "MA=="}}},
        {"data": {"trackingPlan": {"name": "Live", "rules": [RULE]}}},
        {"id": "tp_1", "name": "Live", "rules": [FLAT]},
        {"events": [EVENT]},
        {"data": {"events": [EVENT]}},
        {
            "name": "workspaces/w/tracking-plans/rs_1",
            "display_name": "Live",
            "rules": {"events": [EVENT]},
        },
        {"data": {"display_name": "Live", "rules": {"events": [EVENT], "identify_traits": []}}},
    ],
)
def test_every_form_is_read(document: Any) -> None:
    plan = from_segment(document)
    assert plan.rows == (PlanRow("Paid"), PlanRow("Paid", "sum", ("number",), True))
    assert (plan.skipped, plan.not_carried, plan.whole) == ((), (), True)


def test_what_is_beside_the_events_is_told() -> None:
    rules = {"events": [EVENT], "global": {"type": "object"}, "identify_traits": [{"name": "x"}]}
    plan = from_segment({"rules": rules})
    assert [one.place for one in plan.skipped] == ["rules.global", "rules.identify_traits"]


@pytest.mark.parametrize("kind", ["IDENTIFY", "GROUP", "COMMON", "PAGE", "SCREEN"])
def test_rules_of_other_types_are_told(kind: str) -> None:
    plan = from_segment({"rules": [{**track(None), "type": kind}, RULE]})
    (skipped,) = plan.skipped
    assert skipped.place == "rules[0]"
    assert kind in skipped.why
    assert len(plan.rows) == 2


def test_a_page_of_rules_is_not_the_whole() -> None:
    pages = {"current": "MA==", "next": "MTA=", "totalEntries": 300}
    assert not from_segment({"data": {"rules": [RULE], "pagination": pages}}).whole


@pytest.mark.parametrize(
    ("given", "types"),
    [
        ({}, ()),
        (True, ()),
        ({"type": "string"}, ("string",)),
        ({"type": ["string", "null"]}, ("string", "null")),
        ({"type": ["integer", "number", "integer"]}, ("integer", "number")),
        ({"type": "string", "format": "date-time"}, ("date-time",)),
        ({"type": ["null", "string"], "format": "date-time"}, ("null", "date-time")),
    ],
)
def test_types(given: Any, types: tuple[str, ...]) -> None:
    plan = of(given)
    assert plan.rows[1].types == types
    assert plan.not_carried == ()


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (["a", "b"], ("a", "b")),
        (["a|b", 1, None, True], ("a|b", 1, None, True)),
        (["two\nlines"], ("two\nlines",)),
    ],
)
def test_an_enum_becomes_allowed_values(given: Any, values: tuple[Any, ...]) -> None:
    assert of({"enum": given}).rows[1].allowed_values == values


@pytest.mark.parametrize(
    ("given", "keyword"),
    [
        ({"type": "string", "format": "uri"}, "format: uri"),
        ({"format": "date-time"}, "format: date-time"),
        ({"type": "integer", "format": "date-time"}, "format: date-time"),
        ({"enum": []}, "enum"),
        ({"enum": [["a"]]}, "enum"),
        ({"enum": ["\ud800"]}, "enum"),
        ({"type": "integer", "enum": ["0", "1"]}, "enum"),
        ({"type": "boolean", "enum": [0, 1]}, "enum"),
        ({"pattern": "(?<=a)b"}, "pattern"),
        ({"pattern": "a\nb"}, "pattern"),
        ({"const": 1}, "const"),
        ({"oneOf": [{"type": "string"}]}, "oneOf"),
        ({"not": {}}, "not"),
        ({"minimum": 0}, "minimum"),
        ({"maxLength": 8}, "maxLength"),
        ({"items": {"type": "string"}}, "items"),
        ({"properties": {"x": {}}}, "properties"),
        ({"additionalProperties": False}, "additionalProperties"),
        ({"made-up": 1}, "made-up"),
        (False, "false"),
    ],
)
def test_what_the_plan_file_cannot_say_is_told(given: Any, keyword: str) -> None:
    plan = of(given)
    assert losses(plan) == [("p", keyword)]
    assert (plan.rows[1].pattern, plan.rows[1].allowed_values) == ("", ())
    assert plan_text(plan.rows)


@pytest.mark.parametrize(
    "given",
    [
        {"description": "d", "title": "t", "id": "/x", "default": 1, "examples": [1]},
        {
            "properties": {},
            "required": [],
            "items": {},
            "additionalProperties": True,
            "pattern": "",
        },
    ],
)
def test_what_refuses_nothing_is_not_told(given: Any) -> None:
    assert of(given).not_carried == ()


def test_what_is_said_of_the_whole_event_is_told() -> None:
    rule = track("E", additionalProperties=False, minProperties=1)
    rule["jsonSchema"]["required"] = ["context", "properties"]
    rule["jsonSchema"]["additionalProperties"] = False
    rule["jsonSchema"]["properties"]["context"] = {"type": "object", "required": ["ip"]}
    rule["jsonSchema"]["properties"]["traits"] = {"type": "object", "description": "none"}
    assert losses(from_segment({"rules": [rule]})) == [
        ("", "context"),
        ("", "additionalProperties"),
        ("", "required: context"),
        ("", "properties.additionalProperties"),
        ("", "properties.minProperties"),
    ]


def test_the_highest_version_counts_wherever_it_is() -> None:
    old, new = track("Paid"), {**track("Paid", {"sum": {}}), "version": 2}
    for rules, place in (([old, new], "rules[0]"), ([new, old], "rules[1]")):
        plan = from_segment({"rules": rules})
        assert plan.rows == (PlanRow("Paid"), PlanRow("Paid", "sum"))
        assert [(one.place, one.why) for one in plan.skipped] == [
            (place, "version 1; version 2 counts")
        ]


@pytest.mark.parametrize(
    ("document", "key", "said"),
    [
        ([], None, "a list where an object has to be"),
        ({}, None, "it has nothing"),
        ({"data": {"trackingPlan": {"name": "x"}}}, "data.trackingPlan", "it has name"),
        ({"rules": 3}, "rules", "a number where a list has to be"),
        ({"rules": {}}, "rules", "there are no events"),
        ({"events": {}}, "events", "an object where a list has to be"),
        ({"rules": ["x"]}, "rules[0]", "a text where a rule has to be"),
        ({"rules": [RULE, {"key": "x"}]}, "rules[1].type", "None is no type of a rule"),
        ({"rules": [{**RULE, "key": None}]}, "rules[0].key", "null or nothing where an event's name"),
        ({"rules": [{**RULE, "key": "!"}]}, "rules[0].key", "'!' is no name"),
        ({"rules": [{**RULE, "key": "a\nb"}]}, "rules[0].key", "cannot be an event's name"),
        ({"rules": [{**RULE, "key": "a\ud800"}]}, "rules[0].key", "cannot be an event's name"),
        ({"rules": [{**RULE, "version": "1"}]}, "rules[0].version", "'1' is no version"),
        ({"rules": [{**RULE, "version": 10**400}]}, "rules[0].version", "so large a number"),
        ({"rules": [{"key": "x", "type": "TRACK"}]}, "rules[0]", "there is no jsonSchema"),
        ({"events": [{"name": "x"}]}, "events[0]", "there is no rules"),
        ({"rules": [{**RULE, "jsonSchema": {"properties": []}}]}, "rules[0].jsonSchema.properties", "a list"),
        (
            {"rules": [RULE, RULE, RULE, {**RULE, "key": "paid"}]},
            "rules[1]",
            "'Paid' is the event of rules[0]",
        ),
        ({"rules": [RULE, {**track("paid"), "version": 2}]}, "rules[1]", "'paid' is the event of rules[0]"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_with_its_place(
    document: Any, key: str | None, said: str
) -> None:
    error = refused(document)
    assert error.key == key
    assert said in error.message


INNER = "rules[0].jsonSchema.properties.properties"


@pytest.mark.parametrize(
    ("properties", "inner", "key", "said"),
    [
        ({"p": {"type": "text"}}, {}, f"{INNER}.properties.p.type", "'text' is no type"),
        ({"p": {"type": []}}, {}, f"{INNER}.properties.p.type", "the list is empty"),
        ({"p": {"type": {}}}, {}, f"{INNER}.properties.p.type", "an object where a list"),
        ({"p": {"enum": "a"}}, {}, f"{INNER}.properties.p.enum", "a text where a list"),
        ({"p": {"pattern": 1}}, {}, f"{INNER}.properties.p.pattern", "1 is no pattern"),
        ({"p": "string"}, {}, f"{INNER}.properties.p", "a text where a property's schema"),
        ({"a b": 1}, {}, f'{INNER}.properties."a b"', "a number where a property's schema"),
        ({" ": {}}, {}, f'{INNER}.properties." "', "' ' is no name"),
        ({"a\tb": {}}, {}, None, "cannot be a property's name"),
        ({}, {"required": "p"}, f"{INNER}.required", "a text where a list"),
        ({}, {"required": ["p", 1]}, f"{INNER}.required[1]", "1 is no name"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(
    properties: Any, inner: Any, key: str | None, said: str
) -> None:
    error = refused({"rules": [track("E", properties, **inner)]})
    assert key is None or error.key == key
    assert said in error.message


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b'{"rules": [\n  {"key": ]}\n', 2, "line 2, column 11"),
        (b'{\n"a": "\xff"}', 2, "not UTF-8"),
        (b'{"a": 1, "a": 2}', None, "the key 'a' twice"),
        (b'{"a": NaN}', None, "NaN is not JSON"),
        (b"[" * 200_000, None, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_told(
    tmp_path: Path, content: bytes, line: int | None, said: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_json(path)
    assert (raised.value.file, raised.value.line) == (str(path), line)
    assert said in raised.value.message


def test_a_mark_before_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"events": [EVENT]}), encoding="utf-8-sig")
    assert read_json(path) == {"events": [EVENT]}
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path)
