-- a visit that began before the lookback begins with it: older events need not be read
with recent_events as (
    select * from {{ ref('events_as_of') }}
    where {{ within_days('occurred_at', 30) }}
),

visits as (
    {{ sessions('recent_events', minutes=30) }}
)

select
    user_id,
    count(*) as visits_30d,
    {{ exact_median('seconds') }} as median_visit_seconds_30d
from visits
group by user_id
