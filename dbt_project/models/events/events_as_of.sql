{{ config(materialized='ephemeral') }}

with events as (select * from {{ ref('events') }}),

-- which copy of an event wins is decided among those visible: a copy that arrives later
-- must not change the answer for a day before
visible as (
    select
        *,
        row_number() over (partition by event_id order by received_at, row_id) as copy_number
    from events
    where {{ visible() }}
)

select
    event_id,
    row_id,
    user_id,
    anonymous_id,
    event,
    properties,
    occurred_at,
    received_at,
    linked_at
from visible
where copy_number = 1
