with facts as (select * from {{ ref('user_facts') }})

select
    count(*) as active_users,
    {{ exact_median('session_gap_median_days') }} as median_session_gap_days
from facts
where
    session_gaps >= 3
    and {{ days_since('last_session_at') }} < 90
