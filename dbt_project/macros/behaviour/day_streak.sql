{#- Per user on how many local days in a row, up to the latest, there was one of these events; 0 when the latest is
    before yesterday, unless `keep_ended`, which needs no as-of. Days are those of `zone` (SQL: a column of `events`,
    the same in all of a user's rows, or a name in quotes), by default var time_zone, as is a zone in a column that is
    null or that nobody knows; days of 23 and 25 hours are days. A select of (user_id, `as`) over users who have such
    an event. -#}
{%- macro day_streak(events, event, as='day_streak', zone=none, keep_ended=false) -%}
    {%- set in_column = zone is not none and not zone.startswith("'") -%}
    {%- if in_column -%}
        {%- set clock = 'coalesce(known.name, ' ~ quoted(var('time_zone')) ~ ')' -%}
    {%- else -%}
        {%- set clock = zone -%}
    {%- endif -%}
    select
        user_id,
        {% if not keep_ended %} case when max(day) >= max(today) - 1 then {% endif %}
        1 + max(day) - max(case when previous_day is null or day - previous_day > 1 then day end)
        {% if not keep_ended %} else 0 end {% endif %} as {{ as }}
    from (
        select
            *,
            lag(day) over (partition by user_id order by occurred_at) as previous_day
        from (
            select
                events.user_id,
                events.occurred_at,
                {% if not keep_ended %} {{ local_date(as_of(), clock) }} as today, {% endif %}
                {{ local_date('events.occurred_at', clock) }} as day
            from {{ events }} as events
            {%- if in_column %}
            left join ({{ known_zones() }}) as known on {{ zone }} = known.name
            {%- endif %}
            where events.user_id is not null and {{ named_event(event) }}
        ) as days
    ) as followed
    group by user_id
{%- endmacro -%}
