{#- Sessions of a user's events: a new one begins with the first event, and with each that comes more than `minutes`
    after the one before; a gap of exactly so long stays in the session, and events at the same instant are of the
    same session. A select of (user_id, started_at, ended_at,
    events, seconds), a row per session; one event alone lasts 0 seconds. -#}
{%- macro sessions(events, minutes=30) -%}
    {%- do whole_number('minutes', minutes) -%}
    select
        user_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as events,
        {{ seconds_between('min(occurred_at)', 'max(occurred_at)') }} as seconds
    from (
        select
            user_id,
            occurred_at,
            sum(case when occurred_at > previous_at + interval '{{ minutes }} minutes' then 1 else 0 end) over (
                partition by user_id order by occurred_at range unbounded preceding
            ) as nth
        from (
            select
                user_id,
                occurred_at,
                lag(occurred_at) over (partition by user_id order by occurred_at) as previous_at
            from {{ events }}
            where user_id is not null
        ) as followed
    ) as numbered
    group by user_id, nth
{%- endmacro -%}
