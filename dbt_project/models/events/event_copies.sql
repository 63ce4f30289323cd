{{ config(materialized='table') }}

with events as (select * from {{ ref('events') }})

select
    event_id,
    row_id,
    user_id,
    anonymous_id,
    event,
    properties,
    occurred_at,
    received_at,
    linked_at,
    row_hash
from events
where has_copies
