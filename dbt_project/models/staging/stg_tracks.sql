with source as ({{ layout_tracks() }})

select
    id,
    coalesce(nullif(id, ''), nullif(message_id, '')) as row_id,
    nullif(message_id, '') as message_id,
    {{ known_id('user_id') }} as user_id,
    {{ known_id('anonymous_id') }} as anonymous_id,
    nullif(trim(event), '') as event,
    {{ json_object('properties') }} as properties,
    coalesce("timestamp", received_at) as occurred_at,
    coalesce(received_at, "timestamp") as received_at,
    received_at as arrived_at
from source
