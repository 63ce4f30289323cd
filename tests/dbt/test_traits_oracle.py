"""dbt's answers against `tests/oracle.py`, on the sample and on random logs, for every user."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import pandas as pd
import pytest

from orchestration.dbt import NOT_IN_PRODUCTION, DbtPaths, run_dbt
from tests import oracle
from tests.dbt.conftest import AS_OFS, PROJECT, SOME, Raw
from tests.oracle_plan import read_plan

AUDIENCES = (
    *("re_engagement", "feature_adoption", "depth_nudge", "order_completed_last_30days"),
    *("shallow_sessions", "dormant", "overdue", "new_signups_no_purchase", "recently_lapsed"),
    *("feature_gap", "cart_abandoned", "onboarded_no_report", "dashboard_no_export"),
)

# nothing is blocked: most random events break the plan
PLAN = read_plan(PROJECT / "seeds", blocks=False)
SLOW = pytest.mark.slow
Rows = tuple[list[oracle.Row], list[oracle.Row], list[oracle.Row]]


@dataclass(frozen=True)
class Answers:
    raw: Raw
    as_of: datetime
    traits: pd.DataFrame
    emails: pd.DataFrame
    members: dict[str, pd.DataFrame]
    expected: pd.DataFrame
    expected_emails: pd.DataFrame
    usual: pd.DataFrame
    expected_usual: tuple[int, float | None]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[Raw, Rows]]:
    """Return the raw rows as a warehouse and as the oracle has them, with so much of the sample."""

    @cache
    def log(one_user_in: int) -> tuple[Raw, Rows]:
        raw = Raw(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb", one_user_in)
        raw.fill()
        tracks, identifies, aliases = map(oracle.rows_of, (raw.tracks, raw.identifies, raw.aliases))
        return raw, (tracks, identifies, aliases)

    return log


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((AS_OFS[0], "received", SOME), id="as it was known, of some"),
        pytest.param((AS_OFS[0], "occurred", 1), id="a week before the end", marks=SLOW),
        pytest.param((AS_OFS[1], "occurred", 1), id="the end", marks=SLOW),
        pytest.param((AS_OFS[0], "received", 1), id="as it was known", marks=SLOW),
    ],
)
def answers(
    request: pytest.FixtureRequest,
    logs: Callable[[int], tuple[Raw, Rows]],
    paths: DbtPaths,
) -> Answers:
    as_of, visibility, one_user_in = request.param
    raw, (tracks, identifies, aliases) = logs(one_user_in)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_DUCKDB", str(raw.path))
        run = run_dbt(
            paths,
            "build",
            as_of=as_of,
            exclude=[*NOT_IN_PRODUCTION, "resource_type:test"],
            variables={"visibility": visibility, "tracking_plan_blocks": []},
            full_refresh=True,
        )
    assert run.success, run.failures
    naive = as_of.replace(tzinfo=None)
    known = oracle.known_at(tracks, identifies, naive, visibility, aliases, PLAN)
    expected = oracle.traits(known)
    return Answers(
        raw=raw,
        as_of=naive,
        traits=raw.rows("from analytics.user_traits").set_index("user_id").sort_index(),
        emails=raw.rows("from analytics.user_emails"),
        members={name: raw.rows(f"from analytics.{name}") for name in AUDIENCES},
        expected=expected,
        expected_emails=oracle.emails(known),
        usual=raw.rows("from analytics.engagement_thresholds"),
        expected_usual=oracle.usual_gap(known, expected),
    )


def test_aliases_made_users_one(answers: Answers) -> None:
    merged = set(
        answers.raw.rows("select merged_user_id from analytics.user_merges")["merged_user_id"]
    )
    assert len(merged) > 10
    assert not merged & set(answers.traits.index)


def plain(values: pd.Series) -> list[object]:
    """Return comparable Python values; every kind of nothing is None."""
    return values.astype(object).where(values.notna(), None).tolist()


def test_users_are_the_same(answers: Answers) -> None:
    assert answers.traits.index.tolist() == answers.expected.index.tolist()
    assert sum(name.startswith("rnd") for name in answers.traits.index) > 300
    assert sum(not name.startswith("rnd") for name in answers.traits.index) > 1000


def test_every_trait_of_every_user_is_the_same(answers: Answers) -> None:
    found = answers.traits.assign(
        features_adopted=answers.traits["features_adopted"].map(json.loads)
    )
    assert set(found.columns) == set(answers.expected.columns)
    differences = {
        column: pairs[:5]
        for column in found.columns
        if (
            pairs := [
                (user, ours, theirs)
                for user, ours, theirs in zip(
                    found.index,
                    plain(found[column]),
                    plain(answers.expected[column]),
                    strict=True,
                )
                if ours != theirs
            ]
        )
    }
    assert differences == {}


def test_every_email_is_the_same(answers: Answers) -> None:
    columns = list(answers.expected_emails.columns)
    found = answers.emails[columns].sort_values(columns[:2]).astype(object)
    expected = answers.expected_emails.sort_values(columns[:2]).astype(object)
    assert found.values.tolist() == expected.values.tolist()


def test_what_is_usual_is_the_same(answers: Answers) -> None:
    (found,) = answers.usual.itertuples(index=False, name=None)
    assert found == answers.expected_usual
    assert answers.expected_usual[0] > 100


@pytest.mark.parametrize("audience", AUDIENCES)
def test_members_are_the_same(answers: Answers, audience: str) -> None:
    members = answers.members[audience].set_index("user_id")
    usual = answers.expected_usual[1]
    expected = oracle.audiences(answers.expected, answers.as_of, usual)[audience]
    assert members.index.is_unique
    assert set(members.index) == expected
    for column in members.columns:
        traits = answers.traits.loc[members.index, column]
        assert plain(members[column]) == plain(traits), column


@pytest.mark.parametrize("audience", AUDIENCES)
def test_the_logs_hold_members_and_others_of_each_kind(answers: Answers, audience: str) -> None:
    members = set(answers.members[audience]["user_id"])
    for logs in ("random", "sample"):
        users = {u for u in answers.traits.index if u.startswith("rnd") == (logs == "random")}
        assert members & users, logs
        assert users - members, logs
