{{ config(materialized='ephemeral') }}

with used as (
    select * from {{ ref('events_as_of') }}
    where event = 'Feature Used'
)

select
    user_id,
    {{ event_count('Feature Used', days=30) }} as features_used_30d,
    {{ unique_count('Feature Used', 'feature_name') }} as unique_feature_count,
    {{ unique_list('Feature Used', 'feature_name') }} as features_adopted,
    count(*) filter (
        where {{ event_text('Feature Used', 'feature_name') }} = 'export'
    ) as exports_total,
    max(occurred_at) filter (
        where {{ event_text('Feature Used', 'feature_name') }} = {{ quoted(var('gap_feature')) }}
    ) as gap_feature_used_at
from used
where user_id is not null
group by user_id
