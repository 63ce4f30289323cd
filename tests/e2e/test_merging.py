"""Users who turn out to be one after they were told of: from the file of aliases to the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.conftest import END, ROOT, Shell, opened

pytestmark = pytest.mark.slow

NEXT_DAY = END + timedelta(days=1)
MERGED_AT = "2026-06-30T21:30:00Z"
SYNC = "iterable_re_engagement"
PEOPLE = f"""
select t.user_id, t.email from analytics.user_traits as t
left join analytics.re_engagement as a on t.user_id = a.user_id
left join tailrace.acked as k on k.sync = '{SYNC}' and k.dest_key = t.email
where {{who}} and t.email is not null and t.email not in (
    select email from analytics.user_emails group by email having count(distinct user_id) > 1)
order by t.user_id limit {{number}}
"""
MEMBER = "a.user_id is not null and k.op = 'enter' and a.last_session_at > timestamp '2026-05-15'"
ACTIVE = "a.user_id is null and t.days_since_last_session < 3"
IDLE = "a.user_id is null and t.sessions_90d = 0"


@dataclass(frozen=True)
class Pair:
    """Who was merged (`old`) into whom (`new`), with the addresses they had."""

    old: str
    new: str
    old_email: str
    new_email: str | None


@dataclass(frozen=True)
class Merged:
    """A warehouse after two runs, between which aliases were loaded."""

    shell: Shell
    pairs: dict[str, Pair]
    second: dict[str, Any]

    def told(self, sync: str) -> list[tuple[Any, ...]]:
        """Return what the second run sent to the people merged: (address, op)."""
        keys = [key for pair in self.pairs.values() for key in (pair.old_email, pair.new_email)]
        return self.shell.rows(
            "select o.dest_key, o.op from tailrace.plan_ops as o "
            "inner join tailrace.plans as p on o.plan_id = p.plan_id "
            "where p.sync = $sync and p.as_of > $at and o.dest_key in (select unnest($keys)) "
            "order by all",
            {"sync": sync, "at": END.replace(tzinfo=None), "keys": keys},
        )

    def changes(self, pair: Pair) -> set[tuple[str, str]]:
        return set(
            self.shell.rows(
                "select user_id, change from tailrace.deltas where audience = 're_engagement' "
                "and as_of > $at and user_id in ($old, $new)",
                {"at": END.replace(tzinfo=None), "old": pair.old, "new": pair.new},
            )
        )


def pairs_of(shell: Shell) -> dict[str, Pair]:
    """Choose people as they were after the first run."""
    members = shell.rows(PEOPLE.format(who=MEMBER, number=7))
    active = shell.rows(PEOPLE.format(who=ACTIVE, number=2))
    idle = shell.rows(PEOPLE.format(who=IDLE, number=2))
    chosen = {
        "two members": (members[0], members[1]),
        "a member into somebody active": (members[2], active[0]),
        "somebody active into a member": (active[1], members[3]),
        "a member into an idle user": (members[4], idle[0]),
        "a member into a new id": (members[5], ("new-id", None)),
        "a suppressed member": (members[6], idle[1]),
    }
    return {
        name: Pair(old, new, old_email, new_email)
        for name, ((old, old_email), (new, new_email)) in chosen.items()
    }


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Merged]:
    folder = tmp_path_factory.mktemp("merged")
    with opened(folder) as shell:
        for table in ("tracks", "identifies"):
            sample = ROOT / "data" / "sample" / f"{table}.parquet"
            shell.run("load", str(sample), "--table", table)
        shell.run("run", "--as-of", END.isoformat())
        pairs = pairs_of(shell)
        suppressed = pairs["a suppressed member"].old
        shell.run("suppress", suppressed, "--reason", "asked us to")
        lines = [f"{pair.old},{pair.new},{MERGED_AT}" for pair in pairs.values()]
        aliases = folder / "aliases.csv"
        aliases.write_text("\n".join(["previousId,userId,timestamp", *lines]), encoding="utf-8")
        shell.run("load", "--table", "aliases", str(aliases))
        second = shell.json("run", "--as-of", NEXT_DAY.isoformat())
        yield Merged(shell, pairs, second)


def test_an_alias_moves_the_membership(merged: Merged) -> None:
    """The id that was replaced leaves; the one that stands for both is judged by what both did."""
    pairs = merged.pairs
    expected: dict[str, tuple[set[str], set[str]]] = {
        "two members": (set(), {"old"}),
        "a member into somebody active": (set(), {"old"}),
        "somebody active into a member": (set(), {"new"}),
        "a member into an idle user": ({"new"}, {"old"}),
        "a member into a new id": ({"new"}, {"old"}),
        "a suppressed member": (set(), {"old"}),
    }
    for name, (entered, exited) in expected.items():
        pair = pairs[name]
        changes = {(getattr(pair, one), "entered") for one in entered}
        changes |= {(getattr(pair, one), "exited") for one in exited}
        found = {change for change in merged.changes(pair) if change[1] != "suppressed"}
        assert found == changes, name


def test_nobody_is_messaged_for_a_merge(merged: Merged) -> None:
    """Only who is no longer in is told, at the address that was told of the entering."""
    pairs = merged.pairs
    assert merged.told(SYNC) == sorted(
        [
            (pairs["a member into somebody active"].old_email, "exit"),
            (pairs["somebody active into a member"].new_email, "exit"),
        ]
    )
    assert {run["sync"]: run["silent"] for run in merged.second["syncs"]}[SYNC] > 0
    for name in ("two members", "a member into an idle user", "a member into a new id"):
        pair = pairs[name]
        known = merged.shell.rows(
            "select op from tailrace.acked where sync = ? and dest_key in (?, ?)",
            [SYNC, pair.old_email, pair.new_email],
        )
        assert known.count(("enter",)) == 1, (name, known)


def test_a_suppression_is_of_all_ids_of_a_person(merged: Merged) -> None:
    """Also of those that turned out to be theirs later: nothing they did is sent to another address."""
    pair = merged.pairs["a suppressed member"]
    for (sync,) in merged.shell.rows("select distinct sync from tailrace.plans"):
        told = {key for key, _ in merged.told(sync)}
        assert not told & {pair.old_email, pair.new_email}, sync
    assert merged.shell.json("profile", pair.new)["suppressed"]


def test_the_guard_counts_no_merge(merged: Merged) -> None:
    assert {found["status"] for found in merged.second["audiences"]} == {"committed"}
    assert {run["status"] for run in merged.second["syncs"]} <= {"done", "nothing"}


def test_the_same_run_again_sends_nothing(merged: Merged) -> None:
    calls = len(merged.shell.calls())
    merged.shell.run("sync")
    assert len(merged.shell.calls()) == calls


@pytest.mark.parametrize("asked_for", ["old", "new"])
def test_a_profile_is_of_both(merged: Merged, asked_for: str) -> None:
    pair = merged.pairs["two members"]
    found = merged.shell.json("profile", getattr(pair, asked_for), "--show-pii")
    assert (found["user_id"], found["merged_ids"]) == (pair.new, [pair.old])
    assert found["asked_for_merged"] == (asked_for == "old")
    addresses = {one["email"]: one["is_primary"] for one in found["emails"]}
    assert {pair.old_email, pair.new_email} <= addresses.keys()
    assert sum(addresses.values()) == 1
    (stays,) = (one for one in found["audiences"] if one["audience"] == "re_engagement")
    assert stays["member"]
    assert [stay["exited_at"] for stay in stays["stays"]] == ["2026-07-01T21:00:00Z", None]


def test_traits_are_checked_with_who_is_one(merged: Merged) -> None:
    (churn,) = merged.shell.json("traits", "check", "--as-of", NEXT_DAY.isoformat())["checks"]
    assert churn["status"] == "checked"
    assert churn["auc"] > 0.85


def test_a_backfill_knows_users_as_one_from_the_merge_on(merged: Merged) -> None:
    days = ("--from", "2026-06-29", "--to", "2026-06-30", "--replace")
    merged.shell.run("backfill", "re_engagement", *days)
    pair = merged.pairs["a member into a new id"]
    day_of_merge = "2026-06-30T23:59:59"
    assert stays(merged.shell, pair) == [
        (pair.new, day_of_merge, None),
        (pair.old, "2026-06-29T23:59:59", day_of_merge),
    ]
    assert merged.shell.json("sync", SYNC)["syncs"][0]["calls"] == 0


def stays(shell: Shell, pair: Pair) -> list[tuple[str, str, str | None]]:
    found = shell.rows(
        "select user_id, entered_at, exited_at from tailrace.membership_intervals "
        "where audience = 're_engagement' and user_id in ($old, $new) order by all",
        {"old": pair.old, "new": pair.new},
    )
    return [(user, at.isoformat(), end.isoformat() if end else None) for user, at, end in found]


def test_forgetting_one_forgets_both(merged: Merged) -> None:
    """Last, because it takes things away."""
    shell, pair = merged.shell, merged.pairs["two members"]
    dry = shell.json("forget", pair.new)
    assert dry == shell.json("forget", pair.old)
    assert (dry["users"], dry["by_hand"]) == (2, {"iterable": 2})
    done = shell.json("forget", pair.old, "--yes")
    assert (done["status"], done["rows"]) == ("done", dry["rows"])
    ids = {"ids": [pair.old, pair.new, pair.old_email, pair.new_email]}
    for table in ("deltas", "membership_intervals", "acked", "plan_ops"):
        where = "cast(user_id as varchar) in (select unnest($ids))"
        if table in ("acked", "plan_ops"):
            where += " or dest_key in (select unnest($ids))"
        assert shell.rows(f"select 1 from tailrace.{table} where {where}", ids) == []
    shell.run("evaluate", "re_engagement")
    assert shell.json("sync")["syncs"][0]["calls"] == 0
    assert (
        shell.rows(
            "select 1 from tailrace.membership_intervals where user_id in (select unnest($ids))",
            ids,
        )
        == []
    )
