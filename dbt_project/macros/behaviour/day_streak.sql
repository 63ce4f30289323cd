{#- Per user on how many local days in a row, up to the latest, there was one of these events; 0 when the latest is
    before yesterday, unless `keep_ended`, which needs no as-of. Days are those of `zone` (SQL: a column, or a
    name in quotes), by default var time_zone; days of 23 and 25 hours are days. A select of (user_id, `as`) over
    users who have such an event. -#}
{%- macro day_streak(events, event, as='day_streak', zone=none, keep_ended=false) -%}
    select
        user_id,
        {% if not keep_ended %} case when max(day) >= {{ local_date(as_of(), zone) }} - 1 then {% endif %}
        1 + max(day) - max(case when previous_day is null or day - previous_day > 1 then day end)
        {% if not keep_ended %} else 0 end {% endif %} as {{ as }}
    from (
        select
            user_id,
            day,
            lag(day) over (partition by user_id order by occurred_at) as previous_day
        from (
            select
                user_id,
                occurred_at,
                {{ local_date('occurred_at', zone) }} as day
            from {{ events }}
            where user_id is not null and {{ named_event(event) }}
        ) as days
    ) as followed
    group by user_id
{%- endmacro -%}
