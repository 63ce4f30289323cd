with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    last_session_at,
    session_gap_median_days
from users
where
    sessions_total >= 5
    and days_since_last_session > 2 * session_gap_median_days
