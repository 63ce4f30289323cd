"""What facts that are kept may ask of the as-of and of other users, and call occurred_at."""

from __future__ import annotations

import pytest

from tests.dbt.macro_project import MacroProject

RECENT = "{{ within_days('occurred_at', 7) }}"
QUALIFIED = "{{ within_days('events.occurred_at', 7) }}"
TODAY = "{{ event_count('Order Completed', calendar_days=1) }}"
NOW = "{{ as_of() }}"
LOOKBACKS = {
    "by days": f"select {RECENT}, {QUALIFIED}, occurred_at <= {NOW} from events",
    "by calendar days": f"select user_id, {TODAY} from events group by user_id",
    "over lines": f"select user_id from events\nwhere\n\t\n  {RECENT}\nand  {QUALIFIED}",
    "nothing": "select user_id from events",
}
OTHER_WINDOWS = {
    "by a macro": "select {{ abandoned('Product Added', 'Order Completed', hours=24) }} from e group by user_id",
    "before days": f"select count(*) filter (where occurred_at <= {NOW} - interval '7 days')",
    "after a day": "select {{ local_date('occurred_at') }} > {{ local_date(as_of()) }} - 17 + 1",
    "later": f"select events.occurred_at + interval '1 hour' <= {NOW}",
    "earlier": f"select interval '1 hour' + events.occurred_at <= {NOW}",
    "quoted": f"select interval '1 hour' + \"events\".occurred_at <= {NOW}",
    "two blanks": f"select interval '1 hour' +  occurred_at <= {NOW}",
    "two lines": f"select interval '1 hour' +\n    occurred_at <= {NOW}",
    "reckoned on": f"select e.occurred_at > {NOW} - interval '7 days' - interval '1 hour'",
    "in another zone": f"select occurred_at <= {NOW} AT TIME ZONE 'Asia/Tokyo'",
    "of something else": f"select last_occurred_at <= {NOW}",
    "of a column of it": f"select events.last_occurred_at <= {NOW}",
}
SAME_NAMES = {
    "as itself": 'select occurred_at as occurred_at, e.Occurred_At as "occurred_at" from e',
    "read": "select max(occurred_at) as at from e group by user_id, occurred_at order by occurred_at",
    "joined on": "select * exclude (occurred_at) from e inner join f using (occurred_at)",
    "left out": "select e.* exclude (e.occurred_at) from e",
    "in a union": "select id, occurred_at from e union all select id, f.Occurred_At from f",
    "above it": "select received_at as at from e union all select occurred_at from e",
    "by name": "select id, occurred_at from e union all by name select occurred_at, id from f",
    "with a star": "select * from e union all select id, occurred_at from f",
    "as a text": "select 'occurred_at' as name, properties ->> 'occurred_at' as said from e",
}
COLUMN = "a field, or a column in a list of them"
OTHER_NAMES = {
    "alias": (
        "select 1, max(occurred_at) as occurred_at from e",
        "max(occurred_at) as occurred_at",
    ),
    "alias of one that ends so": ("select last_occurred_at as occurred_at from e", "last_occurred"),
    "alias without as": ("select e.due_at occurred_at from e", "e.due_at occurred_at from e."),
    "alias in front": ("select occurred_at: due_at, id from e", "due_at."),
    "alias in capitals": ('select due_at as "Occurred_At" from e', 'due_at as "Occurred_At"'),
    "alias after an accent": ("select 'é' as a, due_at as occurred_at from e", COLUMN),
    "columns of a CTE": ("with f (user_id, occurred_at) as (select 1, 2) select * from f", COLUMN),
    "columns of a table": ("select * from (values (1, 2)) as t (user_id, occurred_at)", COLUMN),
    "columns without as": ('select * from e t (user_id, "occurred_at")', COLUMN),
    "replaced": ("select * replace (due_at as occurred_at) from e", COLUMN),
    "renamed": ("select * rename (due_at as occurred_at) from e", COLUMN),
    "field": ("select {'occurred_at': due_at} as e", "due_at}"),
    "below it in a union": (
        "select id, occurred_at from e union all select id, received_at from e",
        "received_at below it in a union",
    ),
    "in a union of three": (
        "select occurred_at from e union (select due from f union select 1 as g from g)",
        " below it in a union",
    ),
    "in a recursion": (
        "with recursive r as (select occurred_at from e union select due from r) from r",
        "due below it in a union",
    ),
    "within": ("select user_id from e where exists (select 1 as occurred_at)", "1 as occurred_at"),
}
BY_USER = {
    "a group": "select user_id, event, count(*) from e group by user_id, event",
    "a group by place": "select event, lower(user_id) as user_id, max(id) from e group by 1, 2",
    "all groups": "select user_id, max(id) from e group by all",
    "a window": "select rank() over (partition by event, e.User_Id order by id) from e",
    "a named window": "select max(id) over w from e window w as (partition by user_id)",
    "the rows of one user": "select (select max(id) from e where e.user_id = f.user_id) from f",
    "an expression": "select coalesce(e.user_id, f.user_id) as user_id, max(e.id) from e full join f"
    " on e.user_id = f.user_id group by coalesce(e.user_id, f.user_id)",
    "a window by an expression": "select lag(id) over (partition by coalesce(a.user_id, b.user_id)) from e",
    "the texts of a list": "select (select string_agg(x, ',') from (select unnest(e.ids) as x)) from e",
    "sets of groups": "select user_id, max(id) from e group by grouping sets ((user_id), (user_id, id))",
    "one user in a join": "select m.mx from u, (select max(x) as mx from"
    " (select id as x from e where e.user_id = u.user_id) as z) as m",
    "a fixed pivot": "from (pivot (select user_id, event from e) on event in ('a') using count(*) group by user_id)",
    "a list": "select (select max(n) from unnest([1, 2]) as t (n)) from e",
}
ACROSS = {
    "a fifth": ("select id, {{ fifth('id') }} from e", "count() over"),
    "a window over all": ("select sum(id) over () from e", "sum() over"),
    "a window by event": ("select lag(id) over (partition by event) from e", "lag() over"),
    "a group by event": ("select event, count(*) from e group by event", "group by event"),
    "a group by another place": ("select user_id, event, max(id) from e group by 2", "group by 2"),
    "all groups of events": ("select event, max(id) from e group by all", "group by all"),
    "sets without the user": (
        "select event, max(id) from e group by grouping sets ((user_id, event), (event))",
        "group by user_id, event",
    ),
    "all users": (
        "select avg(id) as a from e where user_id is not null",
        "avg(), without group by",
    ),
    "all in an expression": ("select round(avg(id), 3) + 1 from e", "avg(), without group by"),
    "a share of all": (
        "select user_id, count(*) / (select count(*) from e) from e group by user_id",
        "count_star(), without group by",
    ),
    "others called user_id": (
        "select json_text as user_id, count(*) from e group by 1",
        "group by 1",
    ),
    "some called user_id": (
        "select case when a then referred_by else user_id end as user_id, max(id) from e group by all",
        "something else called user_id",
    ),
    "a free pivot": (
        "from (pivot (select user_id, event from e) on event using count(*) group by user_id)",
        "SQL that cannot be looked into",
    ),
    "all rows": (
        "select u.id, m.last from u, (select max(id) as last from e) as m",
        "max(), without",
    ),
}
CLOCKS = {
    "now": "select user_id from e where now() > occurred_at",
    "a clock of dbt": "select user_id, {{ dbt.current_timestamp() }} as at from e",
    "a word": "select user_id from e where occurred_at < CURRENT_DATE",
    "a lot": "select user_id from e where Random() < 0.5",
}
CASES = {
    **CLOCKS,
    **LOOKBACKS, **OTHER_WINDOWS, **SAME_NAMES, **BY_USER,
    **{name: sql for name, (sql, _) in (OTHER_NAMES | ACROSS).items()},
}  # fmt: skip
MODEL = """{%% if execute %%}
{%% set sql %%}%s{%% endset %%}
{%% do check_occurred_at(sql, []) %%}{%% do check_by_user(sql) %%}{%% do check_clock(sql) %%}
select {{ windows_of(sql) | join(', ') }} from (select now() as occurred_at)
{%% else %%} select 1 {%% endif %%}"""


def model(name: str) -> str:
    return f"case_{list(CASES).index(name)}"


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each case that is refused."""
    project = MacroProject(
        tmp_path_factory.mktemp("windows") / "project",
        {model(name): MODEL % sql for name, sql in CASES.items()},
        given="",
    )
    return project.refused([model(name) for name in CASES])


@pytest.mark.parametrize("name", [*LOOKBACKS, *SAME_NAMES, *BY_USER])
def test_lookbacks_on_when_events_occurred_are_known(name: str, refused: dict[str, str]) -> None:
    assert model(name) not in refused


@pytest.mark.parametrize("name", OTHER_WINDOWS)
def test_what_else_is_asked_of_the_as_of_is_refused(name: str, refused: dict[str, str]) -> None:
    assert "may ask for the as-of by lookback only" in refused[model(name)]


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_time_is_not_called_occurred_at(name: str, refused: dict[str, str]) -> None:
    said = "nothing else may be called occurred_at; found: "
    assert said in refused[model(name)]
    assert OTHER_NAMES[name][1] in refused[model(name)].partition(said)[2]


@pytest.mark.parametrize("name", ACROSS)
def test_what_is_made_over_several_users_is_refused(name: str, refused: dict[str, str]) -> None:
    assert "made of each user's own rows alone" in refused[model(name)]
    assert f"found: {ACROSS[name][1]}" in refused[model(name)]


@pytest.mark.parametrize("name", CLOCKS)
def test_the_as_of_is_the_only_clock(name: str, refused: dict[str, str]) -> None:
    assert "the only clock is the as-of" in refused[model(name)]
