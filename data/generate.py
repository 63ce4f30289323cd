"""Make raw events of an invented product, in Segment's warehouse shape; see README.md beside this.

Everything is SQL over integers in an in-memory DuckDB. Chance is a few bits of an md5 of (seed,
what, who, which), never random(): the same seed gives the same rows on any number of threads.
Times are whole seconds since DAY_ZERO until the last step.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

DAY_ZERO = "2026-01-01 00:00:00"  # a Thursday
END = 180 * 86_400 + 21 * 3_600  # 2026-06-30 21:00:00
SAMPLE_EVENTS = 225_000
USERS_PER_EVENT = 5_000 / SAMPLE_EVENTS


@dataclass(frozen=True, slots=True)
class Written:
    """One file that was written."""

    path: Path
    rows: int
    size: int


def macros(seed: int) -> str:
    """Return the SQL macros: `h` draws 64 bits, `u` and `pick` use 16 of them (i = 0..3)."""
    return f"""
create macro h(what, who, which) as
    md5_number_lower(concat({seed}, '|', what, '|', who, '|', which));
create macro u(x, i) as cast((x >> (16 * i)) & 65535 as double) / 65536;
create macro pick(x, i, n) as cast(floor(u(x, i) * n) as integer);
create macro feature(n) as (['sql_editor', 'dashboard_builder', 'report_builder', 'alerts',
    'scheduler', 'comments', 'sharing', 'templates', 'import', 'segments', 'api_keys'])[n + 1];
create macro category(n) as (['analysis', 'analysis', 'reporting', 'automation', 'automation',
    'collaboration', 'collaboration', 'reporting', 'data', 'analysis', 'data'])[n + 1];
create macro product(n) as concat('{{"product_id": "p', n + 1, '", "name": "',
    (['Seat', 'Data pack', 'Template set', 'Training hour', 'Map layer', 'Support plan'])[
    n % 6 + 1], ' ', (['S', 'M', 'L', 'XL'])[n // 6 + 1], '", "price": ', price(n));
create macro price(n) as cast(4.5 + n * 7.25 as decimal(9, 2));
create macro moment(s) as timestamp '{DAY_ZERO}' + to_seconds(s);
"""


# persona: share (cumulative), days between sessions (least, spread, jitter), depth, features,
# sessions per feature learned. A depth is the chance that a session goes as far as using a feature.
USERS = """
create table personas as from (values
    ('power', 0.02, 1.5, 0.5, 0.5, 0.95, 9, 2),
    ('habitual', 0.08, 2.8, 1.4, 0.5, 0.8, 7, 3),
    ('weekly', 0.20, 4.0, 1.8, 0.4, 0.65, 5, 4),
    ('churned', 0.52, 3.0, 4.0, 0.5, 0.5, 4, 3),
    ('never_activated', 0.72, 1.5, 2.0, 0.9, 0.1, 1, 9),
    ('shallow', 1.01, 10.0, 25.0, 0.9, 0.35, 2, 4)
) as p (persona, upto, gap, spread, jitter, depth, breadth, learns);

create table places as from (values
    (0, 'US', 'NY', 'America/New_York', -5, '+1-212-555-01'),
    (1, 'US', 'CA', 'America/Los_Angeles', -8, '+1-415-555-01'),
    (2, 'US', 'TX', 'America/Chicago', -6, '+1-512-555-01'),
    (3, 'CA', 'ON', 'America/Toronto', -5, '+1-416-555-01'),
    (4, 'GB', 'ENG', 'Europe/London', 0, null),
    (5, 'DE', 'BE', 'Europe/Berlin', 1, null),
    (6, 'FR', 'IDF', 'Europe/Paris', 1, null),
    (7, 'BR', 'SP', 'America/Sao_Paulo', -3, null),
    (8, 'IN', 'MH', 'Asia/Kolkata', 5, null),
    (9, 'AU', 'NSW', 'Australia/Sydney', 10, null)
) as p (place, country, region, time_zone, hours, phone);

create table users as
with drawn as (
    select n, h('persona', n, 0) as a, h('life', n, 0) as b, h('habit', n, 0) as c,
        h('name', n, 0) as d
    from range(1, $users + 1) as r (n)
), persona as (
    select drawn.*, personas.* exclude (breadth, learns, gap, upto),
        gap + spread * u(b, 0) as gap,
        case when persona = 'shallow' and u(c, 0) < 0.3 then 4 else breadth end as breadth,
        case when persona = 'shallow' then 3 + pick(c, 1, 6) else learns end as learns,
        case when u(b, 1) < 0.2 then -1 - pick(b, 2, 400) else 1 + pick(b, 2, 180) end as joined
    from drawn, personas
    where u(a, 0) < upto and u(a, 0) >= coalesce(
        (select max(q.upto) from personas as q where q.upto < personas.upto), 0)
), span as (
    select *, greatest(joined, 1) as since,
        case persona when 'churned' then least(181, greatest(joined, 1) + 10 + 60 * u(b, 3))
            when 'never_activated' then greatest(joined, 1) + 4.0 else 181 end as until
    from persona
)
select span.*, country, region, time_zone, hours,
    joined * 86400 + cast(36000 + 30000 * u(c, 2) as integer) - hours * 3600 as signup,
    cast(floor(least((until - since) / gap, 400)) as integer) + 1 as sessions,
    case when persona = 'never_activated' then pick(a, 1, 3)
        when u(a, 1) < 0.72 then 5 else 1 + pick(a, 2, 4) end as steps,
    -- the session from which exports happen; 999 is never
    case when persona in ('never_activated', 'shallow') or u(a, 3) < 0.3 then 999
        when u(a, 3) < 0.75 then 1 + pick(a, 2, 6) else 9 + pick(a, 2, 14) end as exports_from,
    case when u(d, 3) < 0.25 then 0.22 when u(d, 3) < 0.5 then 0.05 else 0.0 end as buys,
    u(c, 3) < 0.2 as two_devices,
    pick(c, 0, 300) as pause_from, 12 + pick(c, 1, 30) as pause_days,
    if(n % 5 < 3, phone || lpad(cast(n % 100 as varchar), 2, '0'), null) as phone,
    (['free', 'free', 'pro', 'pro', 'team', 'enterprise'])[1 + pick(d, 2, 6)] as plan,
    concat((['ada', 'alan', 'grace', 'edsger', 'barbara', 'donald', 'frances', 'john', 'katherine',
        'ken', 'lynn', 'niklaus', 'radia', 'tony', 'sophie', 'vint'])[1 + pick(d, 0, 16)], '.',
        (['lovelace', 'turing', 'hopper', 'dijkstra', 'liskov', 'knuth', 'allen', 'backus',
        'johnson', 'thompson', 'conway', 'wirth', 'perlman', 'hoare', 'wilson', 'cerf'])[
        1 + pick(d, 1, 16)], n) as name
from span inner join places on places.place = pick(b, 3, 10);

create table emails as
select n, case when n % 31 = 7 then null  -- never tells us
        when n % 400 = 9 then lag(name) over (order by n) || '@example.com'  -- a shared mailbox
        else concat(name, '@example.', (['com', 'com', 'org', 'net'])[1 + n % 4]) end as email,
    case when n % 17 = 3 then name || '.work@example.org' end as later_email
from users;
"""

# A session is dropped while its user pauses; a third of the weekly and habitual users do.
# k = -1, -2, -3 are visits before sign-up, people above $users are visitors who never sign up.
# `anonymous`: nobody has signed up yet; `unknown`: the event carries no user_id.
SESSIONS = """
create table sessions as
with booked as (
    select n, k, h('when', n, k) as w,
        case when k = 0 and joined > 0 then cast(signup as bigint) else cast(
            floor(since + gap * (k + jitter * u(w, 0))) as bigint) * 86400 end as day_s,
        not (k = 0 and joined > 0) as floats
    from (select *, unnest(range(sessions)) as k from users)
), kept as (
    select b.n, b.k, b.w, day_s, floats, u.hours
    from booked as b inner join users as u using (n)
    where not (u.persona in ('weekly', 'habitual') and pause_from < 100 and k > 0
        and day_s // 86400 between since + 20 + pause_from and since + 20 + pause_from + pause_days)
    union all
    select n, -k, h('before', n, k), (joined - 3 * k) * 86400, true, hours
    from (select *, unnest(range(1, 2 + n % 3)) as k from users where joined > 10 and n % 5 < 3)
    union all
    select $users + v, 0, h('visitor', v, 0), (1 + v % 180) * 86400, true, 0
    from range(1, $users // 4) as r (v)
), timed as (
    -- half of what falls on a weekend waits for the week
    select *, case when not floats then day_s else day_s - hours * 3600
        + cast(25200 + 25200 * (u(w, 1) + u(w, 2)) as bigint)
        + case when (day_s // 86400) % 7 in (2, 3) and u(w, 3) < 0.55
            then 172800 + 86400 * pick(w, 2, 2) else 0 end
        end as started
    from kept
)
select t.n, t.k, t.started, t.k < 0 or us.n is null as anonymous,
    us.n is null or t.k < 0 or (us.two_devices and t.k = 2) as unknown,
    if(us.two_devices and t.k >= 2 and t.k % 3 = 2, 2, 1) as device,
    x.x, x.y, x.z,
    (['web', 'web', 'web', 'ios', 'android'])[1 + (t.n + if(t.k % 3 = 2, 3, 0)) % 5] as platform,
    case when u(t.w, 0) < 0.004 then 86400 + pick(t.w, 3, 500) * 900  -- a phone that was offline
        when u(t.w, 0) < 0.02 then 7200 + pick(t.w, 3, 160) * 450
        else 1 + pick(t.w, 2, 3) end as delay,
    coalesce(us.depth, 0.1) as depth, coalesce(us.persona, 'visitor') as persona,
    us.breadth, us.learns, us.steps, us.exports_from, us.buys, us.joined > 0 as is_new
from timed as t
left join users as us on us.n = t.n,
lateral (select h('x', t.n, t.k) as x, h('y', t.n, t.k) as y, h('z', t.n, t.k) as z) as x
where t.started >= 86400 and t.started + 3600 < $end;
"""

# One select per kind of event: who, which session, order within it, seconds after its start.
EVENTS = """
create table events as
with s as (
    select *, case when persona = 'shallow' and k > 2 and u(y, 2) >= depth
            then 30 + 15 * pick(z, 1, 8)  -- looked in and left
            else 120 + if(persona in ('shallow', 'never_activated', 'visitor'), 1, 4)
                * 30 * (1 + pick(z, 1, 12)) end as duration,
        if(breadth is null, 0, (n * 7 + pick(x, 0, least(breadth, 1 + k // learns))) % 11) as f,
        if(breadth is null, 0, (n * 7 + pick(x, 1, least(breadth, 1 + k // learns))) % 11) as g,
        not anonymous and k >= exports_from and u(x, 2) < 0.3 as exports,
        pick(z, 0, 24) as p, pick(z, 2, 24) as q, 1 + pick(z, 3, 2) as many,
        not anonymous and k > 0 and u(y, 3) < buys as orders,
        not anonymous and k > 0 and buys > 0 and u(y, 3) between 0.96 and 0.99 as hesitates
    from sessions
), made as (
    select s, 0 as seq, 0 as after, 'Session Started' as event, concat('{"platform": "', platform,
        '", "session_id": "s', n, '-', k, '", "referrer_source": "', (['direct', 'direct', 'direct',
        'search', 'email', 'newsletter', 'partner'])[1 + pick(y, 0, 7)], '"}') as properties from s
    union all
    select s, 1, 20, 'Dashboard Viewed', concat('{"dashboard_id": "d', 1 + (n + k) % 9, '"}')
    from s where not anonymous and u(y, 1) < 0.25
    union all
    select s, 2, 40, 'Feature Viewed',
        concat('{"feature_name": "', feature(f), '", "feature_category": "', category(f), '"}')
    from s where not anonymous and u(y, 2) < depth
    union all
    -- a few of these break the tracking plan: a misspelt event, a wrong type, no feature_name
    select s, 3, 60, if(z % 1499 = 0, 'Feature_Used', 'Feature Used'), concat('{',
        if(z % 1499 = 2, '', concat('"feature_name": "', feature(f), '", ')),
        '"feature_category": "', category(f), '", "time_spent_seconds": ',
        if(z % 1499 = 1, '"a while"', cast(30 + 15 * pick(x, 3, 30) as varchar)),
        ', "items_created": ', pick(y, 0, 4), ', "exports_run": 0}')
    from s where not anonymous and u(y, 2) < depth * 0.8
    union all
    select s, 4, 95, 'Feature Used', concat('{"feature_name": "', feature(g),
        '", "feature_category": "', category(g), '", "time_spent_seconds": ',
        30 + 15 * pick(y, 1, 30), ', "items_created": ', pick(y, 3, 3), ', "exports_run": 0}')
    from s where not anonymous and u(y, 2) < depth * 0.3
    union all
    select s, 5, 105, 'Feature Used', concat('{"feature_name": "export", "feature_category": '
        '"data", "time_spent_seconds": ', 15 + 15 * pick(y, 1, 8), ', "items_created": 0, '
        '"exports_run": ', many, '}') from s where exports
    union all
    select s, 6, 107, 'Data Exported', concat('{"format": "',
        (['csv', 'xlsx', 'parquet'])[1 + n % 3], '", "rows_exported": ',
        100 * (1 + pick(x, 3, 50)), '}') from s where exports
    union all
    select s, 7, 110, 'Report Generated', concat('{"report_type": "', (['weekly', 'monthly',
        'ad_hoc'])[1 + k % 3], '"}') from s where not anonymous and u(x, 3) < depth * 0.1
    union all
    select s, 10 + step, 20 * step, 'Onboarding Step Completed', concat('{"step_id": "onb_', step,
        '", "step_name": "', (['create_workspace', 'connect_data', 'invite_team', 'first_dashboard',
        'set_alert'])[step], '", "step_index": ', step, ', "completion_method": "',
        (['self', 'self', 'guided', 'skipped'])[1 + (n + step) % 4], '"}')
    from s, range(1, 6) as r (step) where is_new and k = (step - 1) // 2 and step <= steps
    union all
    select s, 16, 112, 'Onboarding Completed', '{"steps_completed": 5}'
    from s where is_new and k = 2 and steps = 5
    union all
    select s, 20, 30, 'Product Viewed', product(p) || '}' from s
    where orders or (anonymous and u(x, 0) < 0.5)
    union all
    select s, 21, 50, 'Product Added', concat(product(p), ', "quantity": ', many, '}')
    from s where orders
    union all
    select s, 25, 50, 'Product Added', product(p) || ', "quantity": 1}' from s where hesitates
    union all
    select s, 22, 55, 'Product Added', product(q) || ', "quantity": 1}'
    from s where orders and u(x, 1) < 0.4
    union all
    select s, 23, 70, 'Product Removed', product(q) || ', "quantity": 1}'
    from s where orders and u(x, 1) < 0.15
    union all
    select s, 24, 90, 'Order Completed', concat('{"order_id": "o', n, '-', k, '", "total": ',
        price(p) * many + if(u(x, 1) between 0.15 and 0.4, price(q), 0), ', "products": [',
        product(p), ', "quantity": ', many, '}', if(u(x, 1) between 0.15 and 0.4,
        concat(', ', product(q), ', "quantity": 1}'), ''), ']}') from s where orders
    union all
    select s, 30, 25, 'Nudge Responded', concat('{"nudge_id": "', (['come_back', 'try_a_feature',
        'go_deeper'])[1 + k % 3], '", "response": "', (['clicked', 'dismissed'])[1 + n % 2], '"}')
    from s where not anonymous and k > 2 and u(x, 0) < 0.04
    union all
    select s, 40, duration, 'Session Ended', concat('{"duration_seconds": ', duration, '}')
    from s where u(x, 2) < 0.9 or orders
), heard as (
    select s.n, s.k, seq, s.unknown, s.device, s.platform, s.z, event, properties,
        s.started + after as at_s, s.started + after + s.delay as heard_s from made
)
select *, 0 as copy from heard where heard_s <= $end
union all
select * exclude (heard_s), least(heard_s + 5 + 60 * (z % 90), $end), 1
from heard where heard_s <= $end and (z + seq) % 251 = 0
union all  -- the last event of all, exactly at the end
select min(n), 9999, 0, false, 1, 'web', 0, 'Dashboard Viewed', '{"dashboard_id": "d1"}', $end,
    $end, 0 from users where persona = 'habitual' and joined < 100;
"""

IDENTIFIES = """
create table identifies as
with s as (select * from sessions where n <= $users and k >= 0), told as (
    select n, k, 0 as seq, device, started + 3 as at_s, delay, e.email, us.phone, us.country,
        us.region, us.time_zone, us.plan, us.signup from s inner join users as us using (n)
        inner join emails as e using (n) where k = 0
    union all  -- the second device is nobody's until this
    select n, k, 1, device, started + 118, delay, e.email, null, null, null, null, null, null
    from s inner join emails as e using (n) where unknown
    union all
    select n, k, 2, device, started + 10, delay, e.later_email, null, null, null, null, null, null
    from s inner join emails as e using (n) where k = 3 and e.later_email is not null
    union all
    select n, k, 3, device, started + 12, delay, null, null, null, null, null,
        if(us.plan = 'free', 'pro', 'enterprise'), null
    from s inner join users as us using (n) where k = 5 and n % 6 = 1
    union all  -- moves house
    select n, k, 4, device, started + 14, delay, null, null, 'ES', 'MD', 'Europe/Madrid', null, null
    from s where k = 4 and n % 41 = 2
)
select *, at_s + delay as heard_s from told where at_s + delay <= $end;
"""

WHO = """
    if({unknown}, null, printf('user_%05d', n)) as user_id,
    concat('anon_', substr(md5(concat($seed, 'anonymous', n, '-', device)), 1, 12))
        as anonymous_id,"""

WHEN = """
    moment(at_s) as "timestamp", moment(heard_s) as received_at,"""

FILES = {
    "tracks": f"""
select printf('track_%07d', row_number() over ()) as id,
    concat('m', n, '.', k, '.', seq) as message_id,{WHO.format(unknown="unknown")}
    event, properties,{WHEN}
    concat('{{"library": "', if(platform = 'web', 'analytics.js', 'analytics-' || platform), '"}}')
        as context
from (from events order by heard_s, n, k, seq, copy)""",
    "identifies": f"""
select printf('identify_%06d', row_number() over ()) as id,
    concat('i', n, '.', k, '.', seq) as message_id,{WHO.format(unknown="false")}
    email, phone, country, region, time_zone, plan, moment(signup) as signup_at,{WHEN}
    '{{"library": "analytics.js"}}' as context
from (from identifies order by heard_s, n, k, seq)""",
    "pages": f"""
select printf('page_%06d', row_number() over ()) as id,
    concat('p', n, '.', k) as message_id,{WHO.format(unknown="unknown")}
    name, path, concat('https://app.example.com', path) as url, name || ' - Millrace' as title,
    if(n % 3 = 0, 'https://search.example.org/', null) as referrer, '{{}}' as properties,{WHEN}
    '{{"library": "analytics.js"}}' as context
from (select *, (['Home', 'Pricing', 'Docs', 'Dashboard'])[1 + pick(z, 0, 4)] as name,
        (['/', '/pricing', '/docs', '/dashboards'])[1 + pick(z, 0, 4)] as path,
        started + 2 as at_s, started + 2 + delay as heard_s
    from sessions where anonymous or u(z, 1) < 0.15 order by started + delay, n, k)
where heard_s <= $end""",
}


def generate(
    out: Path, *, events: int, seed: int, threads: int | None = None, level: int = 1
) -> list[Written]:
    """Write `<out>/<table>.parquet` for tracks, identifies and pages.

    Args:
        out: folder, made if missing; files of the same names are replaced.
        events: about how many rows `tracks` gets; users grow with it.
        seed: another seed, another product; the same seed, the same rows.
        threads: of DuckDB; they change the speed only.
        level: of zstd; 15 is slow and what is committed, 1 is fast.
    """
    import duckdb

    out.mkdir(parents=True, exist_ok=True)
    users = max(50, round(events * USERS_PER_EVENT))
    words = {"$users": str(users), "$end": str(END), "$seed": str(seed)}
    with tempfile.TemporaryDirectory(dir=out) as spill, duckdb.connect() as con:
        con.execute(f"set temp_directory = '{spill}'; set memory_limit = '3GB'")
        if threads is not None:
            con.execute(f"set threads = {threads}")
        for script in (macros(seed), USERS, SESSIONS, EVENTS, IDENTIFIES):
            con.execute(_filled(script, words))
        return [
            _write(con, out / f"{table}.parquet", _filled(query, words), level)
            for table, query in FILES.items()
        ]


def _filled(sql: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        sql = sql.replace(word, value)
    return sql


def _write(con: duckdb.DuckDBPyConnection, path: Path, query: str, level: int) -> Written:
    con.execute(
        f"copy ({query}) to '{path}' (format parquet, compression zstd, "
        f"compression_level {level}, parquet_version v2, row_group_size 250000)"
    )
    [(rows,)] = con.execute(f"select count(*) from '{path}'").fetchall()
    return Written(path, rows, path.stat().st_size)


def main() -> None:
    """Read the command line, write the files, say what was written."""
    parser = argparse.ArgumentParser(description="Make raw events of an invented product.")
    parser.add_argument("--out", type=Path, default=Path("data/sample"))
    parser.add_argument("--events", type=int, default=SAMPLE_EVENTS, help="rows of tracks, about")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    level = 15 if options.events <= SAMPLE_EVENTS else 1
    for file in generate(options.out, events=options.events, seed=options.seed, level=level):
        print(f"{file.path}: {file.rows:,} rows, {file.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
