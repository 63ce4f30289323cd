with alone as (
    select * from {{ ref('events') }}
    where not has_copies and {{ visible() }}
),

event_copies as (
    select * from {{ ref('event_copies') }}
    where {{ visible() }}
),

-- which copy of an event wins is decided among those visible: a copy that arrives later
-- must not change the answer for a day before
ranked as (
    select
        *,
        row_number() over (
            partition by event_id order by received_at, row_id, content_hash, user_id
        ) as copy_number
    from event_copies
),

of_users as (
    select * from ranked
    where copy_number = 1 and user_id is not null
),

of_devices as (
    select * from ranked
    where copy_number = 1 and user_id is null
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
from alone
union all
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
