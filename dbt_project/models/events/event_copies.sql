{{ config(materialized='table') }}

-- not from `events`, which would read the log twice
with copies as (
    select * from {{ ref('event_log') }}
    where
        has_copies
        and not is_blocked
        and row_id is not null
        and event is not null
        and occurred_at is not null
),

of_users as (
    select * from copies
    where user_id is not null
),

of_devices as (
    select * from copies
    where user_id is null and anonymous_id is not null
),

identity_map as (select * from {{ ref('identity_map') }}),

user_merges as (select * from {{ ref('user_merges') }}),

identified as (
    {{ identified('of_users', 'of_devices') }}
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
    linked_at,
    content_hash
from identified
