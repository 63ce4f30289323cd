"""The words of an engine, of dbt and of Dagster, when values, keys and people are in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from destinations.base import Secret
from destinations.errors import DataError
from destinations.scrub import one_line, scrubbed, spellings
from orchestration.defs import deltas, syncs
from orchestration.defs.deltas import delta_asset
from orchestration.defs.resources import Scrubbed, explained
from orchestration.defs.syncs import sync_asset
from orchestration.sql.refusals import without_values
from tests.e2e.conftest import END, Shell, copy_project, opened
from tests.probes.canaries import ALL, KEY, PEOPLE, SECRETS, Search, endpoint, engine_for
from tests.probes.test_failure_modes import MODES, Wrapped, crash, fill
from tests.support.tiers import first
from tests.support.world import TestClock, world_at

VALUES = [*PEOPLE.values(), "O'Canary\n\nLINE 1: canary-user-0042", 'a "canary-user-0042" b']
FAILING = [
    "select cast(v as double) from t", "select cast(v as timestamp) from t", "select v::date from t",
    "select v::uuid from t", "select cast(v as json) -> 'a' from t", "select strptime(v, '%Y') from t",
    "select error(v) from t", "select v::int[] from t", "select v::boolean from t", "insert into k select v from t",
    "select v::interval from t", "select v::enum('a') from t", "select regexp_matches(v, v || '(') from t",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("sql", FAILING)
def test_what_duckdb_refuses_is_told_without_the_value(sql: str, value: str) -> None:
    with duckdb.connect() as con:
        con.execute("create table t as select ? as v", [value])
        con.execute("create table k (v varchar primary key)")
        con.execute("insert into k select v from t")
        try:
            con.execute(sql).fetchall()
        except duckdb.Error as error:
            said = without_values(f"Runtime Error in model m (models/m.sql)\n  {error}")
            assert said.startswith("Runtime Error in model m")
            search = Search({**PEOPLE, "value": value})
            search.text("message", said)
            search.check()
            assert "canary" not in said.lower()


def test_what_is_wrong_with_the_sql_is_told_in_full() -> None:
    with duckdb.connect() as con, pytest.raises(duckdb.Error) as caught:
        con.execute('select "no such column" from (select 1 as x)')
    assert without_values(str(caught.value)) == str(caught.value)


@pytest.mark.parametrize("secret", SECRETS.values())
def test_an_error_masks_a_secret_however_it_is_spelt(secret: str) -> None:
    Secret(secret)
    for spelt in spellings(secret):
        error = DataError(f"a{spelt}b", file=f"x/{spelt}", key=spelt, accepted=[spelt])
        said = f"{error} {error.as_dict()}"
        assert spelt not in said.replace("***", "")
    assert secret not in repr([Secret(secret), {"k": Secret(secret)}])


def test_a_word_that_is_no_secret_stays() -> None:
    Secret("key")
    assert scrubbed("unknown key") == "unknown key"


def test_a_text_is_one_line_without_sequences() -> None:
    said = one_line("a\r\nb\x1b[2Jc\x9bd\u2028e\u202ef\x00\x07\ttab \ud800", 80)
    assert said.isprintable()
    assert len(one_line("x" * 500, 80)) == 80


def test_long_texts_take_no_longer() -> None:
    for piece in ("a", "@", "a@", "'", '"a', "a'", "a%4", "\n", "&#64;", "Conversion Error: '"):
        scrubbed(without_values(piece * 200_000))


@pytest.fixture
def dagster_home(tmp_path: Path) -> Iterator[tuple[Path, dg.DagsterInstance]]:
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield home, instance


@pytest.mark.parametrize(
    "mode", first(2, ["401 that repeats the key", "200 that rejects", "crash", "held"])
)
def test_nothing_of_it_is_in_dagsters_storage(
    mode: str,
    dagster_home: tuple[Path, dg.DagsterInstance],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, instance = dagster_home
    folder = tmp_path / "world"
    folder.mkdir()
    with (
        endpoint(MODES.get(mode, MODES["403"])) as url,
        world_at(folder, TestClock(), url) as world,
    ):
        fill(world)
        if mode == "held":
            world.sync(
                "told", sends="membership", audience="lapsed", max_first=0, **{"as": "track"}
            )
        if mode == "crash":
            world.wrap = lambda real: Wrapped(real, crash)
        monkeypatch.setattr(syncs, "engine", lambda: engine_for(world))
        monkeypatch.setattr(deltas, "engine", lambda: engine_for(world))
        assets = [sync_asset(sync, "iterable") for sync in world.syncs.values()]
        assets.append(delta_asset(world.audiences["lapsed"]))
        result = dg.materialize(
            assets,
            instance=instance,
            raise_on_error=False,
            selection=dg.AssetSelection.assets(*assets),
        )
    assert result.all_events
    search = Search()
    search.text("events", "\n".join(map(str, result.all_events)))
    for entry in instance.all_logs(result.run_id):
        search.text("log", f"{entry.user_message} {entry}")
    search.files(home)
    search.check()


def test_an_unexpected_error_of_a_step_tells_where_and_not_what() -> None:
    with pytest.raises(dg.Failure) as caught, explained():
        raise RuntimeError(f"{KEY} {PEOPLE['name']}")
    said = str(caught.value.description)
    assert "unexpected RuntimeError" in said
    assert "test_words.py" in said
    assert PEOPLE["name"] not in said.replace("raise RuntimeError", "")
    assert caught.value.__cause__ is None


def test_what_dbt_prints_in_a_step_is_cleaned() -> None:
    import io

    out = io.StringIO()
    Secret(KEY)
    stream = Scrubbed(out)
    stream.write(f"{KEY} {PEOPLE['e-mail']} \x1b[31mConversion Error: not '{PEOPLE['name']}'\n")
    stream.flush()
    assert out.getvalue() == "*** *** \\x1b[31mConversion Error: not ***\n"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The bundled project on a handful of people whose names, and an audience, cannot be cast."""
    folder = tmp_path_factory.mktemp("broken")
    with opened(folder) as shell:
        own = replace(shell, project=copy_project(folder))
        events = folder / "e.csv"
        rows = "".join(
            f'"{PEOPLE["id"]}",Session Started,2026-06-{d:02}T10:00:00Z\n' for d in range(1, 9)
        )
        events.write_text(f"user_id,event,timestamp\n{rows}")
        own.run("load", str(events), ITERABLE_API_KEY=KEY)
        audience = own.project / "models" / "audiences" / "depth_nudge.sql"
        head, _, _ = audience.read_text().rpartition("where")
        audience.write_text(f"{head}where cast(user_id as double) > 1")
        yield own


@pytest.mark.parametrize(
    "verb",
    [
        ("run", "--as-of", END.isoformat()),
        ("build",),
        ("preview", "depth_nudge"),
    ],
)
@pytest.mark.slow
def test_a_cast_that_fails_in_dbt(broken: Shell, verb: tuple[str, ...]) -> None:
    search = Search(ALL)
    for form in ((), ("--json",)):
        said = broken.run(*verb, *form, code=1, ITERABLE_API_KEY=KEY, TAILRACE_TRACEBACK="1")
        assert "Conversion Error" in said
        search.text(f"{verb[0]} {form}", said)
    search.files(broken.project / "target" / "logs")
    search.files(broken.folder / "state")
    search.check()


@pytest.mark.parametrize(
    ("environment", "canary"),
    [
        ({"ITERABLE_API_KEY": f"{SECRETS['key with a line feed']}\n"}, "key with a line feed"),
        ({"ITERABLE_BASE_URL": f"https://{SECRETS['token in base_url']}@x.example"}, "token in base_url"),
        ({"ITERABLE_BASE_URL": f"https://x.example/?k={SECRETS['token in base_url']}"}, "token in base_url"),
        ({"ITERABLE_IDENTIFIER": KEY, "ITERABLE_API_KEY": KEY}, "key"),
        ({"ITERABLE_API_KEY": SECRETS["password in the environment"]}, "password in the environment"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_a_mistake_in_the_environment(
    broken: Shell, environment: dict[str, str], canary: str
) -> None:
    search = Search(SECRETS)
    for verb in ("run", "validate", "sync"):
        for form in ((), ("--json",)):
            search.text(verb, broken.run(verb, *form, code=2, **environment), [canary])
    search.check()
    assert shutil.which("tailrace") is None or not broken.calls()
