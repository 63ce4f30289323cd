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

-- what each snapshot could know of a user, and whether the 30 days after it had a session
by_user as (
    select
        {%- for snapshot in range(learnt_from + 1) %}
            {%- set known = 'known_period >= ' ~ snapshot ~ ' and period <= ' ~ (snapshot + 2) %}
            max(last_session_at) filter (where {{ known }}) as last_session_at_{{ snapshot }},
            sum(sessions) filter (where {{ known }}) as sessions_90d_{{ snapshot }},
            sum(sessions) filter (where {{ known }} and period = {{ snapshot }})
                as sessions_30d_{{ snapshot }},
            bool_or(period = {{ snapshot - 1 }}) as came_back_{{ snapshot }},
        {%- endfor %}
        user_id
    from periods
    group by user_id
),

-- where the log begins too late, every user would look like a new one
log_begins as (
    select max(period) as period from periods
),

observed as (
    {%- for snapshot in range(learnt_from + 1) %}
        select
            user_id,
            {{ snapshot }} as snapshot_number,
            {{ as_of() }} - interval '{{ 30 * snapshot }} days' as snapshot_at,
            last_session_at_{{ snapshot }} as last_session_at,
            coalesce(sessions_30d_{{ snapshot }}, 0) as sessions_30d,
            sessions_90d_{{ snapshot }} as sessions_90d,
            came_back_{{ snapshot }} as came_back
        from by_user
        where
            sessions_90d_{{ snapshot }} > 0
            {%- if snapshot > 0 %}
                and {{ snapshot + 2 }} <= (select log_begins.period from log_begins)
            {%- endif %}
        {%- if not loop.last %}
            union all
        {%- endif %}
    {%- endfor %}
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
