with rhythm as (select * from {{ ref('user_rhythm') }})

select
    count(*) as active_users,
    {{ exact_median('session_gap_median_days') }} as median_session_gap_days
from rhythm
where
    session_gaps >= 3
    and {{ days_since('last_session_at') }} < 90
