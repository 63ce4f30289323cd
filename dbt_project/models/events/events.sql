-- two halves, because few events need to be looked up; each reads the log itself, because as one
-- CTE the engine would hold all of it in memory
with of_users as (
    select * from {{ ref('event_log') }}
    where user_id is not null and {{ counts_as_event() }}
),

of_devices as (
    select * from {{ ref('event_log') }}
    where user_id is null and anonymous_id is not null and {{ counts_as_event() }}
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
    content_hash,
    has_copies
from identified
