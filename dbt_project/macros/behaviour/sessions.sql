{#- Sessions of a user's events: a new one begins with the first event, and with each that comes more than `minutes`
    after the one before; a gap of exactly so long stays in the session, and events at the same instant are of the
    same session. A select of (user_id, started_at, ended_at,
    events, seconds), a row per session; one event alone lasts 0 seconds. -#}
{%- macro sessions(events, minutes=30) -%}
    {%- do whole_number('minutes', minutes) -%}
    select
        user_id,
        occurred_at as started_at,
        ended_at,
        events,
        {{ seconds_between('occurred_at', 'ended_at') }} as seconds
    from (
        select
            user_id,
            occurred_at,
            -- few rows are left here, each the first of a session: it lasts until the event before the next of them
            lead(previous_at, 1, last_at) over (partition by user_id order by occurred_at) as ended_at,
            lead(nth, 1, events + 1) over (partition by user_id order by occurred_at) - nth as events
        from (
            select
                user_id,
                occurred_at,
                lag(occurred_at) over (partition by user_id order by occurred_at) as previous_at,
                row_number() over (partition by user_id order by occurred_at) as nth,
                max(occurred_at) over (partition by user_id) as last_at,
                count(*) over (partition by user_id) as events
            from {{ events }}
            where user_id is not null
        ) as followed
        where previous_at is null or occurred_at > previous_at + interval '{{ minutes }} minutes'
    ) as begun
{%- endmacro -%}
