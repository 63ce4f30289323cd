{#- Per user on how many local days in a row, up to the latest, there was one of these events; 0 when the latest is
    before yesterday. Days are those of a zone, by default var time_zone; days of 23 and 25 hours are days. A select
    of (user_id, `as`) over users who have such an event. -#}
{%- macro day_streak(events, event, as='day_streak', zone=none) -%}
    select
        user_id,
        count(*) filter (
            where latest_day - day = from_latest and latest_day >= {{ local_date(as_of(), zone) }} - 1
        ) as {{ as }}
    from (
        select
            user_id,
            day,
            max(day) over (partition by user_id) as latest_day,
            row_number() over (partition by user_id order by day desc) - 1 as from_latest
        from (
            select distinct
                user_id,
                {{ local_date('occurred_at', zone) }} as day
            from {{ events }}
            where user_id is not null and {{ named_event(event) }}
        ) as days
    ) as numbered
    group by user_id
{%- endmacro -%}
