{#- Snapshots are 30 days apart; 0 is the as-of, the others are those a model can learn from. -#}
{%- set learnt_from = 4 -%}

with events as (select * from {{ ref('events_as_of') }}),

-- when each session came to be known: one that arrived late, or whose user was identified later,
-- must not be seen by an earlier snapshot, or staying would be foreseen
sessions as (
    select
        user_id,
        occurred_at,
        greatest(
            occurred_at, {{ known_at() }}, coalesce(linked_at, occurred_at)
        ) as known_at
    from events
    where
        event = 'Session Started'
        and user_id is not null
        and {{ within_days('occurred_at', 30 * (learnt_from + 3)) }}
),

placed as (
    select
        user_id,
        occurred_at,
        {{ periods_ago('occurred_at', 30) }} as period,
        {{ periods_ago('known_at', 30) }} as known_period
    from sessions
),

periods as (
    select
        user_id,
        period,
        known_period,
        count(*) as sessions,
        max(occurred_at) as last_session_at
    from placed
    group by user_id, period, known_period
),

snapshots as (
    {%- for snapshot in range(learnt_from + 1) %}
        select
            {{ snapshot }} as snapshot_number,
            {{ as_of() }} - interval '{{ 30 * snapshot }} days' as snapshot_at
        {%- if not loop.last %}
            union all
        {%- endif %}
    {%- endfor %}
),

-- where the log begins too late, every user would look like a new one
long_enough as (
    select
        snapshot_number,
        snapshot_at
    from snapshots
    where snapshot_number = 0 or snapshot_number + 2 <= (select max(periods.period) from periods)
),

looked_at as (
    select
        periods.*,
        long_enough.snapshot_number,
        long_enough.snapshot_at,
        periods.known_period >= long_enough.snapshot_number as is_known
    from periods
    inner join long_enough
        on
            periods.period >= long_enough.snapshot_number - 1
            and periods.period <= long_enough.snapshot_number + 2
),

observed as (
    select
        user_id,
        snapshot_number,
        snapshot_at,
        max(last_session_at) filter (where is_known) as last_session_at,
        coalesce(
            sum(sessions) filter (where is_known and period = snapshot_number), 0
        ) as sessions_30d,
        sum(sessions) filter (where is_known) as sessions_90d,
        count(*) filter (where period = snapshot_number - 1) > 0 as came_back
    from looked_at
    group by user_id, snapshot_number, snapshot_at
    having count(*) filter (where is_known) > 0
)

select
    user_id,
    cast(snapshot_number as bigint) as snapshot_number,
    snapshot_at,
    last_session_at,
    cast(sessions_30d as bigint) as sessions_30d,
    cast(sessions_90d as bigint) as sessions_90d,
    case
        {%- for days in (3, 7, 14, 30, 60) %}
            when last_session_at > snapshot_at - interval '{{ days }} days'
                then 'within {{ days }} days'
        {%- endfor %}
        else 'within 90 days'
    end as recency,
    case
        when sessions_90d = 1 then '1'
        when sessions_90d <= 3 then '2 to 3'
        when sessions_90d <= 9 then '4 to 9'
        when sessions_90d <= 29 then '10 to 29'
        else '30 or more'
    end as frequency,
    case
        when sessions_90d = sessions_30d then 'new'
        when 2 * sessions_30d >= sessions_90d - sessions_30d then 'steady'
        when 4 * sessions_30d >= sessions_90d - sessions_30d then 'fewer'
        else 'far fewer'
    end as trend,
    case when snapshot_number > 0 then not came_back end as churned
from observed
