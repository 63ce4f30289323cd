"""Writes facts down as the collectors do, each in its own tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import duckdb
import pyarrow as pa

from tests.dbt.raw_facts import PROPERTIES, TABLES, Facts, Row

WHO = {"id": pa.string(), "user_id": pa.string(), "anonymous_id": pa.string()}
TRAITS = {n: pa.string() for n in ("email", "phone", "country", "region", "time_zone", "plan")}
NAMED = {n: pa.string() for n in ("name", "path", "url", "title", "referrer")}
ALIASED = {"previous_id": pa.string()}
QUERIED = {"page_urlquery": pa.string(), "mkt_source": pa.string()}
UTC_TEXT = "%Y-%m-%d %H:%M:%S.%fZ"
ESCAPED = {"from": "_from", "end": "_end", "1_st": "_1_st"}
SNOWPLOW_NAMES = {slug: name for name, slug in TABLES.items()}


def create(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: dict[str, Any],
    rows: Iterable[Row],
    json_columns: tuple[str, ...] = (),
) -> None:
    """Create a table of these columns (Arrow types, or JSON) and fill it."""
    given = pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(columns))
    connection.register("given", given)
    casts = ", ".join(f'"{name}"::json as "{name}"' for name in json_columns)
    star = f"* replace ({casts})" if casts else "*"
    connection.execute(f"create table {table} as select {star} from given")
    connection.unregister("given")


def as_json(said: Row) -> str:
    return json.dumps({key: value for key, value in said.items() if value is not None})


def kind(values: tuple[Any, ...]) -> pa.DataType:
    return pa.array(list(values)).type


def write_tailrace(connection: duckdb.DuckDBPyConnection, schema: str, facts: Facts) -> None:
    when = {"timestamp": pa.timestamp("us"), "received_at": pa.timestamp("us")}
    who = {**WHO, "message_id": pa.string()}

    def rows(told: list[Row]) -> list[Row]:
        return [
            {**row, "message_id": row["id"], "properties": as_json(row.get("properties", {}))}
            for row in told
        ]

    said = {"properties": pa.string()}
    tracks = {**who, "event": pa.string(), **said, **when}
    create(connection, f"{schema}.tracks", tracks, rows(facts.tracks), ("properties",))
    identifies = {**who, **TRAITS, "signup_at": pa.timestamp("us"), **when}
    create(connection, f"{schema}.identifies", identifies, rows(facts.identifies))
    pages = {**who, **NAMED, **said, **when}
    create(connection, f"{schema}.pages", pages, rows(facts.pages), ("properties",))
    aliases = {**who, **ALIASED, **when}
    create(connection, f"{schema}.aliases", aliases, rows(facts.aliases))


def write_segment(connection: duckdb.DuckDBPyConnection, schema: str, facts: Facts) -> None:
    more = {"uuid_ts": pa.timestamp("us"), "context_ip": pa.string()}
    _write_event_tables(connection, schema, facts, more, {}, pa.timestamp("us"))


def write_rudderstack(connection: duckdb.DuckDBPyConnection, schema: str, facts: Facts) -> None:
    more = {
        "uuid_ts": pa.timestamp("us", "UTC"),
        "channel": pa.string(),
        **{f"context_{name}": pa.string() for name in ("ip", "request_ip", "passed_ip")},
    }
    _write_event_tables(connection, schema, facts, more, ESCAPED, pa.timestamp("us", "UTC"))
    connection.execute(
        f"create table {schema}.rudder_discards as select id as row_id, 'x' as column_name, "
        f"'x' as column_value, 'tracks' as table_name, received_at, uuid_ts from {schema}.tracks"
    )


def _write_event_tables(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    facts: Facts,
    more: dict[str, Any],
    escaped: dict[str, str],
    instant: pa.DataType,
) -> None:
    names = ("timestamp", "original_timestamp", "sent_at", "received_at")
    around = {**WHO, **dict.fromkeys(names, instant), **more}
    noise = {name: "noise" for name, type_ in more.items() if type_ == pa.string()}
    called = {"event": pa.string(), "event_text": pa.string()}
    tracks = [{**noise, **row, "event": TABLES[row["event"]]} for row in facts.tracks]
    create(connection, f"{schema}.tracks", {**around, **called}, tracks)
    for event, values in PROPERTIES.items():
        of_event = [row for row in facts.tracks if row["event"] == event]
        names_there = {name: escaped.get(name, name) for name in values}
        action = {"se_action": pa.string()} if event == "Button Pressed" else {}
        columns = {names_there[name]: kind(there) for name, there in values.items()} | action
        told = [
            {
                **noise,
                **{escaped.get(name, name): value for name, value in row["properties"].items()},
                **row,
                "event": TABLES[event],
                "event_text": event,
            }
            for row in of_event
        ]
        create(connection, f"{schema}.{TABLES[event]}", {**around, **called, **columns}, told)
    traits = {**around, **TRAITS, "signup_at": instant}
    create(connection, f"{schema}.identifies", traits, [{**noise, **r} for r in facts.identifies])
    pages = [{**noise, **row, **row["properties"]} for row in facts.pages]
    create(connection, f"{schema}.pages", {**around, **NAMED, **QUERIED}, pages)
    aliases = [{**noise, **row} for row in facts.aliases]
    create(connection, f"{schema}.aliases", {**around, **ALIASED}, aliases)
    connection.execute(f"create table {schema}.users as select * from {schema}.identifies")


def write_snowplow(connection: duckdb.DuckDBPyConnection, schema: str, facts: Facts) -> None:
    """Write one wide table; self-describing events are structs, JSON or text, as warehouses differ.

    There is no event that says what an alias does.
    """
    order = pa.struct({n: kind(values) for n, values in PROPERTIES["Order Completed"].items()})
    texts = ("event_id", "user_id", "domain_userid", "network_userid", "event", "event_name")
    pages = ("page_urlpath", "page_url", "page_title", "page_referrer", *QUERIED)
    geo = ("geo_country", "geo_region", "geo_region_name", "os_timezone")
    structured = ("se_category", "se_action", "se_label", "se_property")
    said = {f"unstruct_event_com_acme_{slug}_1": pa.string() for slug in TABLES.values()}
    columns = {
        **dict.fromkeys((*texts, *pages, *geo, *structured), pa.string()),
        "se_value": pa.float64(),
        **dict.fromkeys(("derived_tstamp", "collector_tstamp"), pa.timestamp("us")),
        **said,
        "unstruct_event_com_acme_identify_1": pa.string(),
        "unstruct_event_com_acme_order_completed_1": order,
        "contexts_com_acme_product_1": pa.string(),
    }
    rows = [
        *_snowplow(facts.tracks, _snowplow_track),
        *_snowplow(facts.identifies, _snowplow_identify),
        *_snowplow(facts.pages, _snowplow_page),
        *({**_snowplow_call(row), "event": "page_ping"} for row in facts.pages),
    ]
    as_text = "unstruct_event_com_acme_feature_used_1"
    as_jsons = {name for name, type_ in columns.items() if name.startswith("unstruct_")}
    as_jsons -= {as_text, "unstruct_event_com_acme_order_completed_1"}
    create(connection, f"{schema}.events", columns, rows, tuple(sorted(as_jsons)))


def _snowplow(told: list[Row], form: Callable[[Row], Row]) -> list[Row]:
    return [{**_snowplow_call(row), **form(row)} for row in told]


def _snowplow_call(row: Row) -> Row:
    return {
        "event_id": row["id"],
        "user_id": row["user_id"],
        "domain_userid": row["anonymous_id"],
        "network_userid": "the same for all",
        "derived_tstamp": row["timestamp"],
        "collector_tstamp": row["received_at"],
    }


def _snowplow_track(row: Row) -> Row:
    if row["event"] == "Button Pressed":
        return {"event": "struct", "event_name": "event", **row["properties"]}
    slug = TABLES[row["event"]]
    struct = row["event"] == "Order Completed"
    return {
        "event": "unstruct",
        "event_name": slug,
        f"unstruct_event_com_acme_{slug}_1": row["properties"]
        if struct
        else as_json(row["properties"]),
    }


def _snowplow_identify(row: Row) -> Row:
    """Return the event; where a place is known from the address only, the trait is not said."""
    signup = row["signup_at"].strftime(UTC_TEXT) if row["signup_at"] else None
    said = {name: row[name] for name in ("email", "phone", "plan")} | {"signupAt": signup}
    by_address = row["id"].endswith(("1", "2", "3"))
    placed = {"country": row["country"], "region": row["region"], "timeZone": row["time_zone"]}
    found = {
        "geo_country": row["country"],
        "geo_region_name": row["region"],
        "os_timezone": row["time_zone"],
    }
    return {
        "event": "unstruct",
        "event_name": "identify",
        "unstruct_event_com_acme_identify_1": as_json(said if by_address else {**said, **placed}),
        **(found if by_address else {}),
    }


def _snowplow_page(row: Row) -> Row:
    return {
        "event": "page_view",
        "event_name": "page_view",
        "page_urlpath": row["path"],
        "page_url": row["url"],
        "page_title": row["title"],
        "page_referrer": row["referrer"],
        **row["properties"],
    }


WRITERS = {
    "tailrace": write_tailrace,
    "segment": write_segment,
    "rudderstack": write_rudderstack,
    "snowplow": write_snowplow,
}
