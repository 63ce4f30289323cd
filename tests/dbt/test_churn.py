"""churn_risk foresees nothing, is explained by its model, and its check tells the truth."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
import pytest

from destinations.clock import SystemClock
from destinations.errors import ConfigError
from orchestration.chain import Step, make_at, make_undated, read_chain
from orchestration.churn_check import MODEL, check
from orchestration.dbt import DbtPaths, manifest, run_dbt
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.raw import create_raw
from tests import churn_oracle, oracle
from tests.dbt.conftest import PROJECT, Raw

pytestmark = pytest.mark.slow

END = datetime(2026, 6, 30, 21, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
GROUP = ["recency", "frequency", "trend"]
SNAPSHOT = ["user_id", "last_session_at", "sessions_30d", "sessions_90d", *GROUP]


def lives(users: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sessions at every pace, many on a bound; half of the users are identified some time later."""
    dice = random.Random(5)
    end = END.replace(tzinfo=None)
    bounds = [30 * n * DAY for n in range(8)] + [n * DAY for n in (3, 7, 14, 33, 37, 44, 97, 104)]
    tracks: list[dict[str, Any]] = []
    identifies = []
    for user in (f"u{n}" for n in range(users)):
        first, last = sorted((dice.uniform(-20, 240), dice.uniform(-20, 240)))
        identified = dice.uniform(-20, 240)
        has_device = dice.random() < 0.5
        for _ in range(dice.choice([1, 2, 3, 5, 12, 40])):
            back = dice.uniform(first, last) * DAY
            if dice.random() < 0.2:
                back = dice.choice(bounds) + dice.choice([-1, 0, 0, 1, 1e-6, -1e-6]) * SECOND
            happened = end - back
            named = dice.random() < 0.2 or happened > end - identified * DAY or not has_device
            tracks.append({
                "user_id": user if named else None,
                "anonymous_id": f"{user}-device" if has_device else None,
                "properties": None,
                "event": dice.choice(["Session Started"] * 9 + ["Feature Used"]),
                "timestamp": happened,
                "received_at": happened + dice.choice([0, 0, 0, 9, 40 * 86_400]) * SECOND,
            })  # fmt: skip
        if has_device:
            when = end - identified * DAY
            identifies.append(
                {"user_id": user, "anonymous_id": f"{user}-device", "timestamp": when,
                 "email": None, "received_at": when + dice.choice([0, 50 * 86_400]) * SECOND}
            )  # fmt: skip
    return with_ids(tracks), with_ids(identifies)


def with_ids(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    for column in ("timestamp", "received_at"):
        frame[column] = frame[column].astype("datetime64[us]")
    ids = [f"r{n}" for n in range(len(rows))]
    return frame.assign(id=ids, message_id=ids)


class Logs:
    """A raw log and the compiled models that are run on it."""

    def __init__(self, chain: tuple[Step, ...], folder: Path) -> None:
        self.chain = chain
        self.path = folder / "warehouse.duckdb"  # SQL names a warehouse by its file's name
        self.tracks, self.identifies = lives(700)

    @contextmanager
    def loaded(self, until: datetime | None = None) -> Iterator[DuckDBWarehouse]:
        """A warehouse with the log; `until` deletes all that happened after it."""
        self.path.unlink(missing_ok=True)
        with open_duckdb(self.path, clock=SystemClock()) as warehouse:
            create_raw(warehouse)
            for name, frame in (("tracks", self.tracks), ("identifies", self.identifies)):
                kept = frame[frame["timestamp"] <= until.replace(tzinfo=None)] if until else frame
                table = pa.Table.from_pandas(kept, preserve_index=False)
                warehouse.append(f"raw.{name}", table)
            make_undated(warehouse, self.chain)
            yield warehouse

    def at(self, warehouse: DuckDBWarehouse, as_of: datetime) -> dict[str, pd.DataFrame]:
        """Run the models at an instant and return what they say, by name."""
        make_at(warehouse, self.chain, as_of)
        return {
            step.name: warehouse.query(f"from {step.relation} order by all").to_pandas()
            for step in self.chain
            if "churn" in step.name
        }


@pytest.fixture(scope="module")
def logs(raw: Raw, paths: DbtPaths, tmp_path_factory: pytest.TempPathFactory) -> Logs:
    assert run_dbt(paths, "compile", as_of=None, select=[f"+{MODEL}"]).success
    return Logs(read_chain(manifest(paths), MODEL), tmp_path_factory.mktemp("churn"))


def expected(logs: Logs, as_of: datetime) -> list[churn_oracle.Snapshot]:
    rows = oracle.rows_of(logs.tracks), oracle.rows_of(logs.identifies)
    naive = as_of.replace(tzinfo=None)
    return churn_oracle.snapshots(oracle.known_at(*rows, naive).events, naive)


def checked(
    logs: Logs, paths: DbtPaths, as_of: datetime, until: datetime | None = None
) -> tuple[Mapping[str, Any], str | None]:
    with logs.loaded(until=until):
        pass
    return check(paths, lambda: open_duckdb(logs.path, clock=SystemClock()), as_of)


@pytest.mark.parametrize(("back", "reach"), [(0, 4), (30, 4), (47, 4), (100, 2)])
def test_snapshots_and_risks_are_those_of_the_definition(logs: Logs, back: int, reach: int) -> None:
    as_of = END - back * DAY
    with logs.loaded() as warehouse:
        found = logs.at(warehouse, as_of)
    wanted = expected(logs, as_of)
    columns = ["user_id", "snapshot_number", *GROUP, *SNAPSHOT[2:4], "last_session_at", "churned"]
    ours = found["churn_snapshots"][columns].astype(object)
    theirs = {
        (one.user, one.number): [*one.group, *one[3:5], one.last_session_at, one.churned]
        for one in wanted
    }
    ours_by_key = {
        (row[0], row[1]): [None if value is pd.NA else value for value in row[2:]]
        for row in ours.where(ours.notna(), None).values.tolist()
    }
    assert ours_by_key == theirs
    assert {number for _, number in theirs} == set(range(reach + 1))
    risks = churn_oracle.risks(wanted)
    told = found["user_churn"].set_index("user_id")["churn_risk"].to_dict()
    assert told == risks, "to the last bit: the same counts in the same order of arithmetic"
    assert len(set(risks.values())) > 10


def test_what_comes_after_the_as_of_changes_nothing(logs: Logs) -> None:
    as_of = END - 40 * DAY
    with logs.loaded() as warehouse:
        found = logs.at(warehouse, as_of)
    with logs.loaded(until=as_of) as warehouse:
        without = logs.at(warehouse, as_of)
    assert len(without["user_churn"]) > 100
    for name, answer in found.items():
        pd.testing.assert_frame_equal(answer, without[name])


def test_a_snapshot_to_learn_from_is_what_was_known_on_that_day(logs: Logs) -> None:
    with logs.loaded() as warehouse:
        now = logs.at(warehouse, END)["churn_snapshots"]
    for number in (1, 2, 3, 4):
        at = END - 30 * number * DAY
        with logs.loaded(until=at) as warehouse:
            then = logs.at(warehouse, at)["churn_snapshots"]
        learnt = now[now["snapshot_number"] == number][SNAPSHOT].reset_index(drop=True)
        that_day = then[then["snapshot_number"] == 0][SNAPSHOT].reset_index(drop=True)
        assert len(learnt) > 100
        pd.testing.assert_frame_equal(learnt, that_day)


def test_the_model_adds_up_to_the_snapshots(logs: Logs) -> None:
    with logs.loaded() as warehouse:
        found = logs.at(warehouse, END)
    model, snapshots = found["churn_model"], found["churn_snapshots"]
    assert not model.duplicated(GROUP).any()
    assert (
        model["observations"].sum()
        == (snapshots["snapshot_number"] > 0).sum()
        == model["all_observations"].iloc[0]
    )
    assert model["churned"].sum() == snapshots["churned"].sum() == model["all_churned"].iloc[0]
    assert model["risk"].between(0, 1, inclusive="neither").all()
    active = set(snapshots[snapshots["snapshot_number"] == 0]["user_id"])
    assert set(found["user_churn"]["user_id"]) == active


def test_too_few_observations_tell_nothing(logs: Logs) -> None:
    with logs.loaded() as warehouse:
        found = logs.at(warehouse, END - 175 * DAY)
    assert len(found["user_churn"]) > 100
    assert found["user_churn"]["churn_risk"].isna().all()


def test_the_check_measures_what_the_oracle_measures(logs: Logs, paths: DbtPaths) -> None:
    told = churn_oracle.risks(expected(logs, END - 30 * DAY))
    outcomes = {one.user: one.churned for one in expected(logs, END) if one.number == 1}
    pairs = [(risk or 0.0, bool(outcomes[user])) for user, risk in told.items()]
    measures, reason = checked(logs, paths, END)
    assert reason is None
    assert (measures["users"], measures["churned"]) == (len(pairs), sum(gone for _, gone in pairs))
    assert measures["auc"] == pytest.approx(churn_oracle.auc(pairs), abs=1e-12)
    brier = sum((risk - gone) ** 2 for risk, gone in pairs) / len(pairs)
    assert measures["brier"] == pytest.approx(brier, abs=1e-12)
    tenths = measures["calibration"]
    assert sum(row["users"] for row in tenths) == len(pairs)
    assert sum(row["churned"] for row in tenths) == measures["churned"]
    means = [row["predicted"] for row in tenths]
    assert means == sorted(means)
    at_least = 0
    for row in tenths:
        inside = sorted(pairs)[at_least : at_least + row["users"]]
        at_least += row["users"]
        mean = sum(risk for risk, _ in inside) / len(inside)
        assert row["predicted"] == pytest.approx(mean, abs=1e-12)
        assert row["observed"] == pytest.approx(row["churned"] / row["users"], abs=1e-12)


def test_the_check_uses_nothing_after_its_as_of(logs: Logs, paths: DbtPaths) -> None:
    as_of = END - 20 * DAY
    found, reason = checked(logs, paths, as_of)
    assert (found, reason) == checked(logs, paths, as_of, until=as_of)
    assert found["auc"] is not None


def test_a_log_that_ends_early_is_told(logs: Logs, paths: DbtPaths) -> None:
    measures, reason = checked(logs, paths, END, until=END - 31 * DAY)
    assert measures["log_may_be_cut"]
    assert measures["churned"] == measures["users"]
    assert reason == f"none of {measures['users']:,} users came back: is the log loaded?"


@pytest.mark.parametrize("days", [0, -30, 1.5, "30 days", None])
def test_a_period_has_whole_days(days: object) -> None:
    macro = (PROJECT / "macros" / "periods_ago.sql").read_text()
    refused = SimpleNamespace(raise_compiler_error=refuse)
    template = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(
        macro + "{{ periods_ago('occurred_at', days) }}", {"exceptions": refused}
    )
    with pytest.raises(ValueError, match=r"periods_ago: days is '.*'; accepted: a whole number"):
        template.render(days=days)


def refuse(message: str) -> None:
    raise ValueError(message)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["many", 0, 1.5])
def test_a_mistaken_least_history_is_refused(raw: Raw, paths: DbtPaths, given: object) -> None:
    said = "var churn_least_history is .*; accepted: a whole number from 1 to"
    variables = {"churn_least_history": given}
    with pytest.raises(ConfigError, match=said):
        run_dbt(paths, "compile", as_of=None, select=["churn_model"], variables=variables)
