with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    last_session_at,
    sessions_90d
from users
where
    days_since_last_session > 7
    and sessions_90d > 3
