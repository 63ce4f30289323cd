with source as ({{ layout_aliases() }})

select
    coalesce(nullif(id, ''), nullif(message_id, '')) as row_id,
    nullif(message_id, '') as message_id,
    {{ known_id('previous_id') }} as previous_id,
    {{ known_id('user_id') }} as user_id,
    coalesce("timestamp", received_at) as occurred_at,
    coalesce(received_at, "timestamp") as received_at
from source
