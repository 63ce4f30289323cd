with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    last_session_at,
    sessions_30d
from users
where
    days_since_last_session > 7
    and sessions_30d > 3
