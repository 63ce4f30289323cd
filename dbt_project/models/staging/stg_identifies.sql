with source as ({{ layout_identifies() }})

select
    coalesce(nullif(id, ''), nullif(message_id, '')) as row_id,
    nullif(message_id, '') as message_id,
    {{ known_id('user_id') }} as user_id,
    {{ known_id('anonymous_id') }} as anonymous_id,
    {{ normalised_email('email') }} as email,
    nullif(trim(phone), '') as phone,
    nullif(trim(country), '') as country,
    nullif(trim(region), '') as region,
    nullif(trim(time_zone), '') as time_zone,
    nullif(trim(plan), '') as plan,
    signup_at,
    coalesce("timestamp", received_at) as occurred_at,
    coalesce(received_at, "timestamp") as received_at
from source
