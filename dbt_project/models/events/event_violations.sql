{{ config(materialized='table') }}

with event_log as (
    select *
    from {{ ref('event_log') }}
    where violations is not null and {{ visible() }}
),

copies as (
    select
        *,
        row_number() over (
            partition by event_id order by received_at, row_id, content_hash, user_id
        ) as copy_number
    from event_log
),

violations as (
    select
        copies.row_id,
        copies.event,
        copies.properties,
        copies.occurred_at,
        copies.is_blocked,
        json_extract_string(listed.violation, '$.rule') as rule,
        json_extract_string(listed.violation, '$.property') as property
    from copies
    cross join unnest(cast(copies.violations as json[])) as listed (violation)
    where copies.copy_number = 1
)

select
    cast(occurred_at as date) as day,
    event,
    rule,
    property,
    is_blocked,
    count(*) as events,
    arg_max(row_id, (occurred_at, row_id)) as example_row_id,
    arg_max(
        case when rule <> 'unplanned' then {{ json_shape('properties', 'property') }} end,
        (occurred_at, row_id)
    ) as example_found,
    min(occurred_at) as first_seen_at,
    max(occurred_at) as last_seen_at
from violations
group by cast(occurred_at as date), event, rule, property, is_blocked
