-- two halves, because few events need to be looked up; each reads the log itself, because as one
-- CTE the engine would hold all of it in memory
with of_users as (
    select * from {{ ref('event_log') }}
    where user_id is not null and not is_blocked
),

of_devices as (
    select * from {{ ref('event_log') }}
    where user_id is null and anonymous_id is not null and not is_blocked
),

identity_map as (select * from {{ ref('identity_map') }}),

user_merges as (select * from {{ ref('user_merges') }}),

identified as (
    select
        of_users.* replace (coalesce(user_merges.user_id, of_users.user_id) as user_id),
        user_merges.merged_at as linked_at
    from of_users
    left join user_merges on of_users.user_id = user_merges.merged_user_id
    union all
    select
        of_devices.* replace (identity_map.user_id as user_id),
        identity_map.linked_at
    from of_devices
    left join identity_map on of_devices.anonymous_id = identity_map.anonymous_id
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
    row_hash,
    has_copies
from identified
where
    row_id is not null
    and event is not null
    and occurred_at is not null
