"""Somebody's mistake: a few lines with file, key and what is accepted; no call is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.conftest import END, Shell, copy_project
from tests.support.tiers import first

AT = ("--as-of", END.isoformat())
ONE_SCREEN = 40


@pytest.fixture
def own(shell: Shell) -> Shell:
    """A shell with a copy of the project that the test may break."""
    return replace(shell, project=copy_project(shell.folder))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def check(shell: Shell, words: tuple[str, ...], code: int, **environment: str | None) -> None:
    said = shell.run("run", *AT, code=code, **environment)
    assert len(said.splitlines()) <= ONE_SCREEN, said
    for word in words:
        assert word in " ".join(said.split()), f"{word!r} is not in:\n{said}"
    assert not shell.calls()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("destinations:\n", "destinations:\n\t- x", ("not YAML", "destinations.yml")),
        ("type: iterable", "type: iterabel", ("destinations.iterable.type", "accepted: iterable")),
        ("api_key:", "api_kee:", ("unknown key", "destinations.iterable.api_kee", "api_key")),
        ("'email'", "'mail'", ("destinations.iterable.identifier", "accepted: email, user_id")),
        ("destinations:\n", "destination:\n", ("destinations.yml", "key: destinations")),
        ("https://api.iterable.com", "http://api.iterable.com", ("https",)),
    ],
)  # fmt: skip
def test_destinations_yml(own: Shell, old: str, new: str, words: tuple[str, ...]) -> None:
    edit(own.project / "destinations.yml", old, new)
    bare = {"ITERABLE_BASE_URL": None} if "http:" in new else {}
    check(own, words, 2, **bare)


@pytest.mark.parametrize("value", first(2, [None, "key\n", "", " key"]))
def test_a_missing_or_mangled_secret(own: Shell, value: str | None) -> None:
    words = ("ITERABLE_API_KEY", "destinations.yml", "destinations.iterable.api_key")
    check(own, words, 2, ITERABLE_API_KEY=value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    first(2, [
        ("sends: traits", "sends: trait", ("sends", "traits", "membership", "events")),
        ("as: track", "has: track", ("unknown key", "has", "accepted", "as,")),
        ("destination: iterable", "destination: braze", ("braze", "accepted: iterable")),
        ("plan: plan", "plan: tier", ("tier", "syncs.yml", "fields.plan", "last_session_at")),
        ("after: [iterable_user_traits]", "after: [traits]", ("traits", "iterable_user_traits")),
    ]),
)  # fmt: skip
def test_syncs_yml(own: Shell, old: str, new: str, words: tuple[str, ...]) -> None:
    edit(own.project / "models" / "syncs.yml", old, new)
    check(own, words, 2)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    first(2, [
        ("plan: plan", "plan: tier", ("tier", "fields.plan", "last_session_at")),
        ("plan: plan", "plan: {sql: 'upper(plan'}", ("fields.plan.sql", "not an SQL expression")),
        ("plan: plan", "plan: {sql: 'upper(tier)'}", ("fields.plan.sql", "tier", "accepted")),
        ("plan: plan", "plan: {column: plan, hash: md5}", ("fields.plan.hash", "sha256")),
        ("plan: plan", "plan: {column: plan, hsh: sha256}", ("fields.plan.hsh", "normalise")),
        ("plan: plan", "plan: {column: plan, sql: plan}", ("fields.plan", "exactly one of")),
        ("plan: plan", "plan: {column: signup_at, hash: sha256}", ("a timestamp has no one text",)),
        ("plan: plan", "primary_use_case: plan", ("given twice",)),
        ("consent: not_required", "consent: opted_in", ("user_traits lists", "not_required")),
        ("consent: not_required", "consent: plan", ("varchar", "boolean", "onboarding_completed")),
    ]),
)  # fmt: skip
def test_a_mapping_is_checked_before_anything_is_built(
    own: Shell, old: str, new: str, words: tuple[str, ...]
) -> None:
    syncs = own.project / "models" / "syncs.yml"
    lines = syncs.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if line.strip() == old)
    lines[place] = lines[place].replace(old, new)
    syncs.write_text("\n".join(lines))
    check(own, (f"file: models/syncs.yml:{place + 1}", "key: exposures.iterable", *words), 2)
    findings = own.json("validate", code=2)["findings"]
    assert [(found["file"], found["line"]) for found in findings] == [
        ("models/syncs.yml", place + 1)
    ]
    error = own.json("plan", code=2)["error"]
    assert (error["file"], error["line"]) == ("models/syncs.yml", place + 1)


def test_a_destination_that_is_none_is_found_on_its_line(own: Shell) -> None:
    edit(own.project / "models" / "syncs.yml", "destination: iterable\n", "destination: braze\n")
    findings = own.json("validate", code=2)["findings"]
    lines = (own.project / "models" / "syncs.yml").read_text().splitlines()
    assert [lines[found["line"] - 1].strip() for found in findings] == ["destination: braze"] * 5


def rename_column(audience: Path) -> None:
    edit(audience, "    user_id,\n", "    user_id as member_id,\n")


def double(audience: Path) -> None:
    text = audience.read_text()
    audience.write_text(f"select * from ({text}) union all select * from ({text})")


def nullify(audience: Path) -> None:
    edit(audience, "    user_id,\n", "    nullif(user_id, user_id) as user_id,\n")


def break_sql(audience: Path) -> None:
    audience.write_text(audience.read_text() + "\nand no_such_column > 1")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (rename_column, ("feature_adoption.sql", "user_id")),
        (double, ("feature_adoption.sql", "repeat a user_id", "one row per member")),
        (nullify, ("feature_adoption.sql", "have no user_id")),
        (break_sql, ("feature_adoption.sql", "no_such_column")),
    ],
)
@pytest.mark.slow
def test_an_audience_that_cannot_be_evaluated(
    own: Shell, mistake: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    mistake(own.project / "models" / "audiences" / "feature_adoption.sql")
    check(own, (*words, "--keep-going"), 1)


def test_validate_finds_what_run_would_refuse(own: Shell) -> None:
    assert own.json("validate") == {"ok": True, "findings": []}
    edit(own.project / "destinations.yml", "api_key:", "api_kee:")
    edit(own.project / "models" / "syncs.yml", "sends: traits", "sends: trait")
    edit(own.project / "dbt_project.yml", "time_zone: UTC", "time_zone: europe/berlin")
    audience = own.project / "models" / "audiences" / "depth_nudge.sql"
    audience.write_text(audience.read_text() + "\nand now() > last_session_at")
    (audience.parent / "undescribed.sql").write_text("select user_id from {{ ref('user_traits') }}")
    activity = own.project / "models" / "facts" / "user_activity.sql"
    edit(activity, "event_sum('Order Completed'", "event_sum('order_completed'")
    (own.project / "seeds" / "event_aliases.csv").write_text("alias,event\nPing\n")
    edit(activity, "event_last_at('Data Exported')", "event_lst_at('Data Exported')")
    found = own.json("validate", code=2)["findings"]
    (unknown,) = (finding for finding in found if finding["rule"] == "macro")
    assert unknown["message"] == "there is no macro event_lst_at; is it event_last_at?"
    assert (unknown["file"], unknown["line"]) == ("models/facts/user_activity.sql", 22)
    (misnamed,) = (finding for finding in found if finding["rule"] == "event-name")
    assert misnamed["file"] == "models/facts/user_activity.sql"
    assert (misnamed["line"], misnamed["severity"]) == (11, "warning")
    assert {finding["rule"] for finding in found} == {
        "destinations", "project", "clock", "event-name", "contract", "time-zone", "macro",
        "event-aliases",
    }  # fmt: skip
    assert all(finding["file"] for finding in found)


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("evaluate",), ("plan",), ("sync",), ("preview", "re_engagement"), ("build",)],
)
def test_without_events_every_verb_names_both_ways_to_load(
    empty_shell: Shell, arguments: tuple[str, ...]
) -> None:
    said = " ".join(empty_shell.run(*arguments, code=1).split())
    assert "tailrace load --sample" in said
    assert "tailrace load FILE" in said


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        (("evaluate", "nobody"), "re_engagement"),
        (("sync", "nothing"), "iterable_user_traits"),
        (("history", "nobody"), "re_engagement"),
    ],
)
def test_unknown_names_list_the_known_ones(
    shell: Shell, arguments: tuple[str, ...], accepted: str
) -> None:
    error = shell.json(*arguments, code=2)["error"]
    assert accepted in error["accepted"]


@pytest.mark.slow
def test_a_run_does_not_go_back_and_builds_nothing(ran: Shell) -> None:
    before = ran.rows("select count(*) from tailrace.builds")
    earlier = (END - timedelta(days=3)).isoformat()
    said = ran.json("run", "--as-of", earlier, code=1)["error"]
    assert said["key"] == "--as-of"
    assert "go forward" in said["message"]
    assert "backfill" in said["message"]
    assert ran.rows("select count(*) from tailrace.builds") == before


def test_a_clock_that_went_back_builds_nothing(shell: Shell) -> None:
    shell.run("status")
    with shell.connect() as warehouse:
        warehouse.execute(
            "insert into tailrace.evaluations by name select 'e-1' as evaluation_id, "
            "'dormant' as audience, timestamp '2100-01-01' as as_of, 'live' as origin, "
            "'committed' as status"
        )
    said = shell.json("run", code=1)["error"]["message"]
    assert "2100-01-01 00:00:00" in said
    assert "clock" in said
    assert not shell.rows("select * from tailrace.builds")


def test_usage_errors_are_json_too(shell: Shell) -> None:
    for instant in ("yesterday", "0001-01-01T00:00:00+10:00"):
        assert shell.json("run", "--as-of", instant, code=2)["error"]["kind"] == "usage"


@pytest.mark.parametrize("arguments", [("run", *AT), ("sync", "iterable_user_traits")])
def test_a_rehearsal_does_not_reach_an_account_with_its_own_address(
    own: Shell, arguments: tuple[str, ...]
) -> None:
    accounts = own.project / "destinations.yml"
    edit(accounts, "env_var('ITERABLE_BASE_URL', 'https://api.iterable.com')", f"'{own.url}'")
    error = own.json(*arguments, "--sandbox", code=2)["error"]
    assert (error["file"], error["key"]) == (str(accounts), "destinations.iterable.base_url")
    assert own.url.removeprefix("http://") in error["message"]
    assert not own.calls()


def test_two_exposures_of_one_name(own: Shell) -> None:
    edit(
        own.project / "models" / "syncs.yml",
        "name: iterable_feature_adoption",
        "name: iterable_re_engagement",
    )
    check(own, ("two exposures", "iterable_re_engagement", "syncs.yml"), 2)
    assert not own.json("validate", code=2)["ok"]


def test_a_day_that_has_not_come_is_for_a_sandbox_only(shell: Shell) -> None:
    real = {"ITERABLE_BASE_URL": "https://api.iterable.com"}
    error = shell.json("run", "--as-of", "2100-01-01T00:00:00Z", code=2, **real)["error"]
    assert "not yet" in error["message"]


@pytest.mark.slow
def test_preview_says_what_is_wrong_with_the_sql(own: Shell) -> None:
    own.run("build", *AT)
    audience = own.project / "models" / "audiences" / "depth_nudge.sql"
    text = audience.read_text()
    users = "select user_id from {{ ref('user_traits') }}"
    for wrong, said in (
        (users + " where no_such_column > 1", "no_such_column"),
        (users + " frm x", "syntax"),
        ("select 1 as one", "user_id"),
        ("select cast(email as double) as user_id from {{ ref('user_traits') }}", "convert"),
        (f"{users} union all {users}", "one row per member"),
    ):
        audience.write_text(wrong)
        output = own.run("preview", "depth_nudge", code=1)
        assert said in output
        assert "@" not in output
    audience.write_text(text + ";\n")
    assert "742 of" in own.run("preview", "depth_nudge")


@pytest.mark.slow
def test_a_plan_shows_no_addresses(own: Shell) -> None:
    edit(
        own.project / "models" / "syncs.yml",
        "            plan: plan\n",
        "            plan: plan\n            contact: email\n            uid: user_id\n",
    )
    own.run("build", *AT)
    planned = own.run("plan", "iterable_user_traits", "--json")
    assert '"contact": "***"' in planned
    assert "@" not in planned
    assert "user_0" not in planned


def test_a_mistake_in_the_tracking_plan_is_found_before_a_build(own: Shell) -> None:
    edit(own.project / "seeds/tracking_plan.csv", "feature_name,string", "feature_name,text")
    (finding,) = own.json("validate", code=2)["findings"]
    assert (finding["rule"], finding["severity"]) == ("tracking-plan", "error")
    assert finding["file"].endswith("tracking_plan.csv")
    for word in ("line 10, type", "string", "date-time"):
        assert word in finding["message"], finding


@pytest.mark.parametrize("verb", ["build", "run"])
def test_what_a_seed_has_wrong_is_told_instead_of_a_build(own: Shell, verb: str) -> None:
    aliases = own.project / "seeds" / "event_aliases.csv"
    aliases.write_text("alias,event\nPing\n")
    error = own.json(verb, code=2)["error"]
    assert (error["file"], error["line"]) == (str(aliases), 2)
    assert "line 2: 1 cells; accepted: 2, one for each column" in error["message"]
    assert not own.rows("select * from tailrace.builds")
