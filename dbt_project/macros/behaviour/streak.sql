{#- Per user how many of the latest events of this name in a row satisfy `condition` (SQL over the row); the first that
    does not, or of which it is null, ends it. Order: moment(). A select of (user_id, `as`) over users who have such
    an event that counts; 0 if their latest does not satisfy it.

    resets       a relation (user_id, reset_at): only events after a user's latest reset count, so that what the
                 streak starts can run again. audience_exits gives the exits from an audience.
    reset_event  the same by the latest event of that name. -#}
{%- macro streak(events, event, condition, as='streak', resets=none, reset_event=none) -%}
    select
        candidates.user_id,
        count(*) filter (
            where candidates.broken is null or candidates.moment > candidates.broken
        ) as {{ as }}
    from (
        select
            user_id,
            {{ moment() }} as moment,
            max(case when not holds then {{ moment() }} end) over (partition by user_id) as broken
        from (
            select
                events.user_id,
                events.occurred_at,
                events.received_at,
                events.row_id,
                coalesce({{ condition }}, false) as holds,
                max(case when not coalesce({{ condition }}, false) then events.occurred_at end)
                    over (partition by events.user_id) as last_broken_at
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
        ) as placed
        -- by the clock first: few rows are left whose order has to be known better
        where last_broken_at is null or occurred_at >= last_broken_at
    ) as candidates
    group by candidates.user_id
{%- endmacro -%}
