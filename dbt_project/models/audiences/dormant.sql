with users as (select * from {{ ref('user_traits') }}),

thresholds as (select * from {{ ref('engagement_thresholds') }})

select
    users.user_id,
    users.last_session_at,
    users.sessions_total
from users
cross join thresholds
where
    thresholds.median_session_gap_days > 0
    and users.days_since_last_session > 2 * thresholds.median_session_gap_days
