-- read twice rather than kept: as one CTE the engine would hold all events in memory
with alone as (
    select * from {{ ref('events') }}
    where not has_copies and {{ visible() }}
),

shared as (
    select * from {{ ref('events') }}
    where has_copies and {{ visible() }}
),

-- which copy of an event wins is decided among those visible: a copy that arrives later
-- must not change the answer for a day before
copies as (
    select
        *,
        row_number() over (partition by event_id order by received_at, row_id) as copy_number
    from shared
)

select
    event_id,
    row_id,
    user_id,
    anonymous_id,
    event,
    properties,
    occurred_at,
    received_at
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
    received_at
from copies
where copy_number = 1
