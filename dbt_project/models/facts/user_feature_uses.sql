with used as (
    select * from {{ ref('events_as_of') }}
    where {{ named_event('Feature Used') }} and user_id is not null
)

select
    user_id,
    {{ json_text('properties', 'feature_name') }} as feature_name,
    {{ json_text('properties', 'feature_category') }} as feature_category,
    count(*) as uses,
    {{ event_count('Feature Used', days=30) }} as uses_30d,
    {{ event_count('Feature Used', days=90) }} as uses_90d,
    max(occurred_at) as last_used_at
from used
group by
    user_id,
    {{ json_text('properties', 'feature_name') }},
    {{ json_text('properties', 'feature_category') }}
