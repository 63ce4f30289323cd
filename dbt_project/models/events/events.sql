with event_log as (select * from {{ ref('event_log') }}),

identity_map as (select * from {{ ref('identity_map') }})

select
    event_log.event_id,
    event_log.row_id,
    coalesce(event_log.user_id, identity_map.user_id) as user_id,
    event_log.anonymous_id,
    event_log.event,
    event_log.properties,
    event_log.occurred_at,
    event_log.received_at,
    event_log.has_copies
from event_log
left join identity_map
    on
        event_log.anonymous_id = identity_map.anonymous_id
        and event_log.user_id is null
where
    event_log.row_id is not null
    and event_log.event is not null
    and event_log.occurred_at is not null
    and (event_log.user_id is not null or event_log.anonymous_id is not null)
