{#- `first`, then `then` within `hours`, and none of `without` in between. Per user the latest time at which that came
    about: `as` is when the `then` happened, always the next one after its `first`. After means later, by the clock;
    up to and with exactly `hours` later counts; a `without` at the very instant of the `first` or of the `then` is
    not in between. A select of (user_id, `as`) over users to whom it happened. -#}
{%- macro sequence(events, first, then, hours, without=none, as='completed_at') -%}
    {%- do whole_number('hours', hours) -%}
    select
        user_id,
        max(then_at) as {{ as }}
    from (
        select
            user_id,
            occurred_at,
            {{ named_event(first) }} as is_first,
            {{ next_time(then) }} as then_at,
            {{ next_time(without) if without is not none else 'cast(null as timestamp)' }} as without_at
        from {{ events }}
        where
            user_id is not null
            and {{ named_event(named_events(first) + named_events(then) + named_events(without)) }}
    ) as followed
    where
        is_first
        and then_at <= occurred_at + interval '{{ hours }} hours'
        and (without_at is null or without_at >= then_at)
    group by user_id
{%- endmacro -%}
