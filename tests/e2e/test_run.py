"""The whole way: raw events in, the right calls out, and nothing twice."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import END, Shell

WEEK_AGO = (END - timedelta(days=7)).isoformat()
AT_END = END.isoformat()
LATER = (END + timedelta(days=9)).isoformat()


def by(key: str, items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item[key]: item for item in items}


def stored(shell: Shell) -> dict[str, dict[str, Any]]:
    """Return the sandbox's profiles by e-mail."""
    import json
    import sqlite3

    con = sqlite3.connect(shell.sandbox)
    try:
        return {e: json.loads(f) for e, f in con.execute("select email, fields from profiles")}
    finally:
        con.close()


def wrong_profiles(shell: Shell) -> list[tuple[str, str]]:
    """Compare the sandbox with the warehouse: every identify sync, every addressed user."""
    profiles = stored(shell)
    found = shell.rows(
        "select lower(trim(t.email)), max(t.sessions_30d), max(t.unique_feature_count), "
        "bool_or(f.user_id is not null), bool_or(o.user_id is not null), min(t.user_id) "
        "from analytics.user_traits t "
        "left join analytics.feature_adoption f on t.user_id = f.user_id "
        "left join analytics.order_completed_last_30days o on t.user_id = o.user_id "
        "where t.email is not null group by 1 having count(*) = 1"
    )
    wrong = []
    for email, sessions, features, adoption, ordered, _ in found:
        fields = profiles.get(email, {})
        if (fields.get("sessions_last_30_days"), fields.get("unique_feature_count")) != (
            sessions,
            features,
        ):
            wrong.append((email, "traits"))
        if bool(fields.get("feature_adoption")) != adoption:
            wrong.append((email, "feature_adoption"))
        if bool(fields.get("order_completed_last_30days")) != ordered:
            wrong.append((email, "order_completed_last_30days"))
    return wrong


@pytest.mark.slow
def test_run_twice_then_only_what_changed(shell: Shell) -> None:
    first = shell.json("run", "--as-of", WEEK_AGO)
    members = {audience["audience"]: audience["members"] for audience in first["audiences"]}
    assert all(members.values())
    assert all(members[sent.removeprefix("iterable_")] > 100 for sent in SENT)
    assert all(sync["delivered"] > 0 for sync in first["syncs"])
    assert not wrong_profiles(shell)

    calls = len(shell.calls())
    again = shell.json("run", "--as-of", WEEK_AGO)
    assert [sync["calls"] for sync in again["syncs"]] == [0] * 5
    assert len(shell.calls()) == calls

    second = shell.json("run", "--as-of", AT_END)
    assert not wrong_profiles(shell)
    first_sent, second_sent = by("sync", first["syncs"]), by("sync", second["syncs"])
    for key in ("iterable_re_engagement", "iterable_feature_adoption"):
        assert 0 < second_sent[key]["delivered"] < first_sent[key]["delivered"]

    # Nine days later nothing more was loaded: who leaves only for that waits for somebody's word.
    late = shell.json("run", "--as-of", LATER, code=3)
    held = [audience for audience in late["audiences"] if audience["status"] == "held"]
    assert "order_completed_last_30days" in by("audience", held)
    assert all("only 0 events are there of" in " ".join(one["reasons"]) for one in held)
    for audience in held:
        expected = ("--expect-exits", str(audience["exited"])) if audience["exited"] else ()
        shell.run("approve", audience["evaluation_id"], *expected)
    third = by("sync", shell.json("sync")["syncs"])
    assert third["iterable_engagement_events"]["calls"] == 0
    assert third["iterable_order_completed_last_30days"]["delivered"] > 0
    assert not wrong_profiles(shell)


SENT = (
    "iterable_re_engagement",
    "iterable_feature_adoption",
    "iterable_order_completed_last_30days",
)


def sessions(user: str, *days_ago: float, at: datetime) -> list[tuple[str, str, str, str]]:
    return [
        (f"{user}-{at:%d}-{n}", user, "Session Started", (at - timedelta(days=ago)).isoformat())
        for n, ago in enumerate(days_ago)
    ]


def write_csv(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.mark.slow
def test_own_events_enter_leave_and_enter_again(empty_shell: Shell) -> None:
    """A user who was away, came back, and went away again; and one who never qualified."""
    shell = empty_shell
    day = datetime(2026, 5, 1, tzinfo=UTC)
    header = ("id", "user_id", "event", "timestamp")
    events = sessions("ann", 20, 21, 22, 23, at=day) + sessions("bob", 30, at=day)
    shell.run("load", write_csv(shell.folder / "one.csv", events, header))
    people = [("i1", "ann", "ann@example.com", day), ("i2", "bob", "bob@example.com", day)]
    rows = [(i, u, e, (at - timedelta(days=40)).isoformat()) for i, u, e, at in people]
    identifies = write_csv(
        shell.folder / "people.csv", rows, ("id", "user_id", "email", "timestamp")
    )
    shell.run("load", identifies, "--table", "identifies")
    shell.run("run", "--as-of", day.isoformat())

    back = day + timedelta(days=2)
    more = sessions("ann", 0.5, at=back)
    shell.run("load", write_csv(shell.folder / "two.csv", more, header))
    shell.run("run", "--as-of", back.isoformat())
    shell.run("run", "--as-of", (back + timedelta(days=10)).isoformat())

    events_sent = [
        (event["eventName"], event["dataFields"].get("re_engagement"))
        for event in shell.profile("ann@example.com")["events"]
        if event["eventName"].startswith("Audience")
    ]
    assert events_sent == [
        ("Audience Entered", True), ("Audience Exited", False), ("Audience Entered", True),
    ]  # fmt: skip
    ids = {event["id"] for event in shell.profile("ann@example.com")["events"]}
    assert len(ids) == len(shell.profile("ann@example.com")["events"])
    assert "re_engagement" not in str(shell.profile("bob@example.com"))
    stays = shell.json("history", "re_engagement", "--user", "ann")["stays"]
    assert [stay["exited_at"] is None for stay in stays] == [False, True]


@pytest.mark.slow
def test_an_emptied_audience_is_held_while_the_others_go_on(shell: Shell) -> None:
    shell.run("run", "--as-of", WEEK_AGO)
    calls = len(shell.calls())
    with shell.connect() as warehouse:
        warehouse.execute("delete from raw.tracks where event = 'Order Completed'")
    done = shell.json("run", "--as-of", AT_END, code=3)
    audiences = by("audience", done["audiences"])
    held = audiences.pop("order_completed_last_30days")
    assert (held["status"], held["members"]) == ("held", 0)
    assert "became empty" in held["reasons"][0]
    # A cart without its order is abandoned, and one who never ordered may be new: both flood.
    of_orders = {"new_signups_no_purchase", "cart_abandoned"}
    status = {name: one["status"] for name, one in audiences.items() if name not in of_orders}
    assert set(status.values()) == {"committed"}, status
    syncs = by("sync", done["syncs"])
    assert syncs["iterable_order_completed_last_30days"]["calls"] == 0
    assert syncs["iterable_feature_adoption"]["delivered"] > 0
    assert len(shell.calls()) > calls
    members = [f for f in stored(shell).values() if f.get("order_completed_last_30days")]
    assert len(members) > 100, "nobody was told that they left"

    refused = shell.run("approve", held["evaluation_id"], code=2)
    assert f"--expect-exits {held['exited']}" in refused
    shell.run("approve", held["evaluation_id"], "--expect-exits", str(held["exited"]))
    shell.run("sync", "iterable_order_completed_last_30days")
    assert not [f for f in stored(shell).values() if f.get("order_completed_last_30days")]
