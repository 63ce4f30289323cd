"""The manifest as audiences and syncs; every mistake names its file and key."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations.errors import ConfigError
from orchestration.dbt import DbtPaths
from orchestration.engine import Engine
from orchestration.options import SyncOptions
from orchestration.project import Project, read_project
from orchestration.warehouse import Connect
from tests.conftest import FakeClock

Manifest = dict[str, Any]
SYNCS = "models/syncs.yml"
CONSENT = {"consent": "not_required"}
GOOD = {"destination": "iterable", "sends": "traits", "fields": {"plan": "plan"}, **CONSENT}
MEMBERSHIP = {"destination": "iterable", "sends": "membership", "as": "track", **CONSENT}


def model(name: str, *parents: str, room: str = "", **meta: object) -> dict[str, Any]:
    file = f"models/{room}{'/' if room else ''}{name}.sql"
    return {
        "resource_type": "model",
        "name": name,
        "schema": "analytics",
        "alias": name,
        "columns": {"user_id": {}, "plan": {}},
        "original_file_path": file,
        "fqn": ["tailrace", *([room] if room else []), name],
        "config": {"materialized": "table", "meta": meta},
        "description": f"About {name}.",
        "depends_on": {"nodes": [f"model.tailrace.{parent}" for parent in parents]},
        "checksum": {"checksum": f"sum of {name}"},
    }


def exposure(name: str, sync: object, *parents: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": "",
        "owner": {"name": "lifecycle"},
        "original_file_path": SYNCS,
        "config": {"meta": {"sync": sync}},
        "depends_on": {"nodes": [f"model.tailrace.{parent}" for parent in parents]},
    }


def manifest() -> Manifest:
    models = [
        model("stg_tracks"),
        model("events", "stg_tracks"),
        model("user_traits", "events"),
        model("re_engagement", "user_traits", room="audiences", owner="lifecycle"),
        model("depth_nudge", "user_traits", room="audiences", audience={"name": "Nudge"}),
    ]
    exposures = [
        exposure("traits", GOOD, "user_traits"),
        exposure("comeback", {**MEMBERSHIP, "after": ["traits"]}, "re_engagement"),
        exposure(
            "engagement",
            {
                "destination": "iterable",
                "sends": "events",
                "events": ["Order Completed"],
                **CONSENT,
            },
            "events",
        ),
    ]
    dashboard = exposure("dashboard", None, "user_traits")
    dashboard["config"]["meta"] = {}
    return {
        "nodes": {
            **{f"model.tailrace.{entry['name']}": entry for entry in models},
            "test.tailrace.unique": {"resource_type": "test"},
        },
        "exposures": {f"e.{entry['name']}": entry for entry in [*exposures, dashboard]},
    }


def test_a_good_project() -> None:
    project = read_project(manifest())
    assert [audience.key for audience in project.audiences] == ["depth_nudge", "re_engagement"]
    assert [audience.name for audience in project.audiences] == ["Nudge", "Re engagement"]
    assert project.audience("re_engagement").model.relation == '"analytics"."re_engagement"'
    assert project.audience("re_engagement").upstream == ("events", "stg_tracks", "user_traits")
    assert [sync.key for sync in project.syncs] == ["traits", "comeback", "engagement"]
    comeback = project.sync("comeback")
    assert comeback.audience is project.audience("re_engagement")
    assert comeback.model == project.audience("re_engagement").model
    assert (comeback.max_first, project.sync("traits").max_first) == (0, 10_000)
    assert comeback.options.max_age == timedelta(hours=6)


def test_what_is_not_there_is_refused_with_what_is() -> None:
    project = read_project(manifest())
    for ask, accepted in [
        (project.audience, ("depth_nudge", "re_engagement")),
        (project.sync, ("comeback", "engagement", "traits")),
    ]:
        with pytest.raises(ConfigError) as raised:
            ask("nothing")
        assert raised.value.accepted == accepted
        assert raised.value.key == "nothing"


def test_a_fingerprint_follows_the_sql_it_depends_on() -> None:
    def of(changed: str) -> str:
        given = manifest()
        given["nodes"][f"model.tailrace.{changed}"]["checksum"]["checksum"] = "another"
        return read_project(given).audience("re_engagement").sql_fingerprint

    before = read_project(manifest()).audience("re_engagement").sql_fingerprint
    assert of("depth_nudge") == before
    assert len({before, of("re_engagement"), of("user_traits"), of("stg_tracks")}) == 4


def edit_sync(name: str = "traits", **changes: object) -> Manifest:
    """Change keys of a sync; None takes one away."""
    given = manifest()
    sync = dict(given["exposures"][f"e.{name}"]["config"]["meta"]["sync"])
    sync |= {key.rstrip("_"): value for key, value in changes.items()}
    kept = {key: value for key, value in sync.items() if value is not Ellipsis}
    given["exposures"][f"e.{name}"]["config"]["meta"]["sync"] = kept
    return given


def edit(change: Callable[[Manifest], object]) -> Manifest:
    given = deepcopy(manifest())
    change(given)
    return given


def under(config: dict[str, Any]) -> Manifest:
    """Return a manifest with a sync somewhere else than under config.meta.sync."""
    return edit(lambda m: m["exposures"]["e.dashboard"].update(config=config))


def add(entry: dict[str, Any]) -> Manifest:
    given = manifest()
    if "resource_type" in entry:
        given["nodes"][f"model.tailrace.{entry['name']}"] = entry
    else:
        given["exposures"][f"e.{entry['name']}"] = entry
    return given


def where(name: str, *rest: str) -> str:
    return ".".join([f"exposures.{name}.config.meta.sync", *rest])


AUDIENCES = "models/audiences/"
# (manifest, file, key, what is said or accepted)
MUTATIONS: list[tuple[Manifest, str, str | None, list[str]]] = [
    (edit_sync(destinaton="iterable"), SYNCS, where("traits", "destinaton"),
     ["unknown key", "as", "after", "destination"]),
    (under({"meta": {"snyc": GOOD}}), SYNCS, "exposures.dashboard.config.meta.snyc", ["sync"]),
    (under({"meta": GOOD}), SYNCS, "exposures.dashboard.config.meta", ["sync"]),
    (under({"meta": {}, "mta": {"sync": GOOD}}), SYNCS, "exposures.dashboard.config.mta", ["meta"]),
    (under({"sync": GOOD}), SYNCS, "exposures.dashboard.config.sync", ["meta"]),
    (edit_sync(as_="identify"), SYNCS, where("traits", "as"), ["membership"]),
    (edit(lambda m: m["exposures"]["e.traits"]["config"]["meta"]["sync"].update(as_="track")),
     SYNCS, where("traits", "as_"), ["unknown key"]),
    (edit_sync(destination=...), SYNCS, where("traits", "destination"), ["required"]),
    (edit_sync(destination=7), SYNCS, where("traits", "destination"), ["string"]),
    (edit_sync(sends=...), SYNCS, where("traits", "sends"), ["required"]),
    (edit_sync(sends="trait"), SYNCS, where("traits", "sends"), ["traits", "membership", "events"]),
    (edit_sync(sends=["traits"]), SYNCS, where("traits", "sends"), ["traits"]),
    (edit_sync(fields=...), SYNCS, where("traits", "fields"), ["fields"]),
    (edit_sync(fields={}), SYNCS, where("traits", "fields"), ["fields"]),
    (edit_sync(fields=["plan"]), SYNCS, where("traits", "fields"), ["mapping"]),
    (edit_sync(fields={"plan": 1}), SYNCS, where("traits", "fields", "plan"), ["string"]),
    (edit_sync(fields={"plan": None}), SYNCS, where("traits", "fields", "plan"), ["string"]),
    (edit_sync(fields={"": "plan"}), SYNCS, where("traits", "fields"), ["name"]),
    (edit_sync(fields={"plan": "nothing"}), SYNCS, where("traits", "fields", "plan"), ["plan"]),
    (edit_sync("comeback", fields={"a": "nothing"}), SYNCS,
     where("comeback", "fields", "a"), ["plan"]),
    (edit_sync(max_first=-1), SYNCS, where("traits", "max_first"), ["0"]),
    (edit_sync(max_first=True), SYNCS, where("traits", "max_first"), ["integer"]),
    (edit_sync(max_first="many"), SYNCS, where("traits", "max_first"), ["integer"]),
    (edit_sync(max_first=1.5), SYNCS, where("traits", "max_first"), ["integer"]),
    (edit_sync(since="week"), SYNCS, where("traits", "since"), ["30m", "7d"]),
    (edit_sync(since=7), SYNCS, where("traits", "since"), ["7d"]),
    (edit_sync(since="-1d"), SYNCS, where("traits", "since"), ["7d"]),
    (edit_sync(since="1.5d"), SYNCS, where("traits", "since"), ["7d"]),
    (edit_sync(since="7 days"), SYNCS, where("traits", "since"), ["7d"]),
    (edit_sync(since="7d\n"), SYNCS, where("traits", "since"), ["7d"]),
    (edit_sync(since="9" * 30 + "d"), SYNCS, where("traits", "since"), ["too long"]),
    (edit_sync(since="999999999w"), SYNCS, where("traits", "since"), ["too long"]),
    (edit_sync(max_age=None), SYNCS, where("traits", "max_age"), ["6h"]),
    (edit_sync(max_age="0h"), SYNCS, where("traits", "max_age"), ["more than nothing"]),
    (edit_sync(after="comeback"), SYNCS, where("traits", "after"), ["a list", "[one]"]),
    (edit_sync(after=["nothing"]), SYNCS, where("traits", "after"), ["nothing", "engagement"]),
    (edit_sync(after=["traits"]), SYNCS, where("traits", "after"), ["circle", "traits -> traits"]),
    (edit_sync(after=["comeback"]), SYNCS, None, ["circle", "comeback", "traits"]),
    (edit_sync(send_updates="often"), SYNCS, where("traits", "send_updates"), ["boolean"]),
    (edit_sync(key="Traits"), SYNCS, "Traits", ["lower-case"]),
    (edit_sync(key="../traits"), SYNCS, "../traits", ["lower-case"]),
    (edit_sync(key="traits\n"), SYNCS, "traits\n", ["lower-case"]),
    (edit_sync(key="t" * 64), SYNCS, "t" * 64, ["63"]),
    (edit_sync(key="comeback"), SYNCS, "config.meta.sync.key", ["comeback", SYNCS]),
    (edit_sync("comeback", as_=...), SYNCS, where("comeback", "as"), ["identify", "track"]),
    (edit_sync("comeback", as_="list"), SYNCS, where("comeback", "as"), ["identify", "track"]),
    (edit_sync("comeback", as_="Track"), SYNCS, where("comeback", "as"), ["identify", "track"]),
    (edit_sync("comeback", entered_event=""), SYNCS, where("comeback", "entered_event"), ["1"]),
    (edit_sync("comeback", entered_event=None), SYNCS,
     where("comeback", "entered_event"), ["string"]),
    (edit_sync("comeback", exited_event=""), SYNCS, where("comeback", "exited_event"), ["1"]),
    (edit_sync("engagement", events=...), SYNCS, where("engagement", "events"), ["events"]),
    (edit_sync("engagement", events=[]), SYNCS, where("engagement", "events"), ["events"]),
    (edit_sync("engagement", events="Order Completed"), SYNCS,
     where("engagement", "events"), ["a list", "[one]"]),
    (edit_sync("engagement", events=[None]), SYNCS, where("engagement", "events", "0"), ["string"]),
    (edit_sync("engagement", fields={"a": "b"}), SYNCS,
     where("engagement", "fields"), ["properties"]),
    (edit_sync("engagement", as_="track"), SYNCS, where("engagement", "as"), ["membership"]),
    (add(exposure("nothing", None, "user_traits")), SYNCS, where("nothing"), ["mapping", "sends"]),
    (add(exposure("nothing", [], "user_traits")), SYNCS, where("nothing"), ["mapping", "sends"]),
    (add(exposure("nothing", "traits", "user_traits")), SYNCS, where("nothing"), ["mapping", "sends"]),
    (add(exposure("no-parent", GOOD)), SYNCS, where("no-parent", "depends_on"), ["depends"]),
    (add(exposure("Upper", GOOD, "user_traits")), SYNCS, "Upper", ["lower-case"]),
    (add(exposure("a'; drop", GOOD, "user_traits")), SYNCS, "a'; drop", ["lower-case"]),
    (add(exposure("m", MEMBERSHIP, "user_traits")), SYNCS, where("m", "depends_on"), ["audience"]),
    (add(exposure("m", MEMBERSHIP, "re_engagement", "depth_nudge")),
     SYNCS, where("m", "depends_on"), ["one audience", "depth_nudge"]),
    (add(model("Churned", room="audiences")), AUDIENCES + "Churned.sql", "Churned", ["lower-case"]),
    (add(model("re__engagement", room="audiences")),
     AUDIENCES + "re__engagement.sql", "config.meta.audience.name", ["re_engagement.sql"]),
    (add(model("other", room="audiences", audience={"name": "Re-Engagement!"})),
     AUDIENCES + "other.sql", "config.meta.audience.name", ["re_engagement.sql"]),
    (add(model("other", room="audiences", audience={"name": "NUDGE"})),
     AUDIENCES + "other.sql", "config.meta.audience.name", ["depth_nudge.sql"]),
    (add(model("other", room="audiences", audience="Other")),
     AUDIENCES + "other.sql", "models.other.config.meta.audience", ["name"]),
    (add(model("other", room="audiences", audience=["Other"])),
     AUDIENCES + "other.sql", "models.other.config.meta.audience", ["name"]),
    (edit(lambda m: m["nodes"].pop("model.tailrace.user_traits")),
     "dbt_project/models", None, ["user_traits"]),
    (edit(lambda m: m["nodes"].pop("model.tailrace.events")),
     "dbt_project/models", None, ["events"]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "file", "key", "words"), MUTATIONS)
def test_every_mistake_names_file_key_and_cure(
    given: Manifest, file: str, key: str | None, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as raised:
        read_project(given)
    error = raised.value
    assert error.file == file
    assert key is None or error.key == key
    said = " ".join([error.message, *error.accepted])
    assert all(word in said for word in words), said


def test_names_in_other_scripts_are_told_apart() -> None:
    given = manifest()
    for key, name in [("one", "日本"), ("two", "中国"), ("three", "!!!"), ("four", "2024")]:
        meta = {"name": int(name) if name.isdigit() else name}
        given["nodes"][f"model.tailrace.{key}"] = model(key, room="audiences", audience=meta)
    names = {audience.key: audience.name for audience in read_project(given).audiences}
    assert (names["one"], names["two"], names["four"]) == ("日本", "中国", "2024")


def test_an_unknown_destination_is_said_with_those_there_are(tmp_path: Path) -> None:
    project: Project = read_project(edit_sync(destination="braze"))
    accounts = {"iterable": cast(Any, None)}
    paths, connect = DbtPaths(tmp_path, tmp_path), cast(Connect, None)
    engine = Engine(paths, project, connect, accounts, {}, tmp_path, FakeClock(), Random(1))
    with pytest.raises(ConfigError) as raised:
        engine.destination(project.sync("traits"))
    assert raised.value.file == SYNCS
    assert raised.value.key == where("traits", "destination")
    assert raised.value.accepted == ("iterable",)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("30m", {"minutes": 30}), ("6 h", {"hours": 6}), ("7d", {"days": 7}), ("2w", {"weeks": 2})],
)
def test_durations(written: str, meant: dict[str, int]) -> None:
    options = SyncOptions.model_validate({**GOOD, "since": written, "max_age": written})
    assert options.since == options.max_age == timedelta(**meant)


@given(st.permutations("abcdefg"), st.data())
def test_a_sync_comes_after_those_it_names(order: list[str], data: st.DataObject) -> None:
    given = manifest()
    given["exposures"] = {}
    for place, name in enumerate(order):
        after = data.draw(st.lists(st.sampled_from(order[:place]), max_size=3)) if place else []
        given["exposures"][name] = exposure(name, {**GOOD, "after": after}, "user_traits")
    names = data.draw(st.permutations(list(given["exposures"])))
    given["exposures"] = {name: given["exposures"][name] for name in names}
    keys = [sync.key for sync in read_project(given).syncs]
    assert sorted(keys) == sorted(order)
    for sync in read_project(given).syncs:
        assert all(keys.index(other) < keys.index(sync.key) for other in sync.options.after)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
KEYS = ["destination", "sends", "as", "key", "fields", "events", "since", "after", "max_first",
        "max_age", "schedule", "send_updates", "entered_event", "exited_event"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), json_like, max_size=4))
def test_whatever_is_written_is_read_or_refused_with_words(changes: dict[str, Any]) -> None:
    given = manifest()
    sync = given["exposures"]["e.traits"]["config"]["meta"]["sync"]
    given["exposures"]["e.traits"]["config"]["meta"]["sync"] = {**sync, **changes}
    error = refusal(given)
    assert error is None or (error.file == SYNCS and error.message)


def refusal(given: Manifest) -> ConfigError | None:
    try:
        read_project(given)
    except ConfigError as error:
        return error
    return None
