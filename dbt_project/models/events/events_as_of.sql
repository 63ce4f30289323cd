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
        row_number() over (partition by event_id order by received_at, row_id) as copy_number
    from event_copies
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
from ranked
where copy_number = 1
