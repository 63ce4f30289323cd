{#- Per user how many of the latest events of this name in a row satisfy `condition` (SQL over the row); the first that
    does not, or of which it is null, ends it. Order: moment(). A select of (user_id, `as`) over users who have such
    an event that counts; 0 if their latest does not satisfy it.

    resets       a relation (user_id, reset_at): only events after a user's latest reset count, so that what the
                 streak starts can run again. audience_exits gives the exits from an audience.
    reset_event  the same by the latest event of that name. -#}
{%- macro streak(events, event, condition, as='streak', resets=none, reset_event=none) -%}
    {%- do given_argument('condition', condition, 'SQL over the row of an event') -%}
    {#- within a select, so that it can stand after a `with` of the model -#}
    select * from (
        with streak_counted as (
            select
                events.user_id,
                events.occurred_at,
                events.received_at,
                events.row_id,
                coalesce({{ condition }}, false) as holds
            from {{ events }} as events
            {%- if resets is not none %}
            left join (
                select user_id as reset_user_id, max(reset_at) as reset_at from {{ resets }} group by user_id
            ) as resets on events.user_id = resets.reset_user_id
            {%- endif %}
            {%- if reset_event is not none %}
            left join (
                select user_id as reset_user_id, max(occurred_at) as reset_at from {{ events }}
                where {{ named_event(reset_event) }} group by user_id
            ) as reset_events on events.user_id = reset_events.reset_user_id
            {%- endif %}
            where events.user_id is not null and {{ named_event(event) }}
            {%- if resets is not none %}
                and (resets.reset_at is null or events.occurred_at > resets.reset_at)
            {%- endif %}
            {%- if reset_event is not none %}
                and (reset_events.reset_at is null or events.occurred_at > reset_events.reset_at)
            {%- endif %}
        ),

        -- by the clock first: few rows are left whose order has to be known better
        streak_latest as (
            select counted.*
            from streak_counted as counted
            left join (
                select user_id, max(occurred_at) as broken_at from streak_counted
                where not holds group by user_id
            ) as broken on counted.user_id = broken.user_id
            where broken.broken_at is null or counted.occurred_at >= broken.broken_at
        )

        select
            latest.user_id,
            count(*) filter (where broken.moment is null or {{ moment() }} > broken.moment) as {{ as }}
        from streak_latest as latest
        left join (
            select user_id, max({{ moment() }}) as moment from streak_latest
            where not holds group by user_id
        ) as broken on latest.user_id = broken.user_id
        group by latest.user_id
    ) as streaks
{%- endmacro -%}
