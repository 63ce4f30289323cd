{#- Per user the hour of the day, 0 to 23, at which most of these events happened, by the clock of the user's own zone;
    of equals the earliest. `zones` is a relation (user_id, time_zone); a zone that is null or that nobody knows
    counts as var time_zone. A select of (user_id, `as`) over users who have such an event. -#}
{%- macro best_hour(events, event, zones, as='best_hour', days=none) -%}
    {%- do given_argument('zones', zones, 'a relation (user_id, time_zone)') -%}
    select
        user_id,
        hour as {{ as }}
    from (
        select
            user_id,
            hour,
            row_number() over (partition by user_id order by count(*) desc, hour) as place
        from (
            select
                events.user_id,
                extract(hour from {{ local_time('events.occurred_at', 'coalesce(known.name, ' ~ quoted(var('time_zone')) ~ ')') }}) as hour
            from {{ events }} as events
            left join {{ zones }} as zones on events.user_id = zones.user_id
            left join ({{ known_zones() }}) as known on zones.time_zone = known.name
            where events.user_id is not null and {{ counted_event(event, days=days) }}
        ) as hours
        group by user_id, hour
    ) as placed
    where place = 1
{%- endmacro -%}
