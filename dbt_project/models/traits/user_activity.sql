{{ config(materialized='ephemeral') }}

with events as (select * from {{ ref('events_as_of') }}),

-- properties are parsed only for the events that carry them
behaviour as (
    select
        user_id,
        event,
        occurred_at,
        case
            when event = 'Feature Used' then {{ json_text('properties', 'feature_name') }}
        end as feature_name,
        case
            when event = 'Onboarding Step Completed' then {{ json_text('properties', 'step_id') }}
        end as step_id,
        case
            when event = 'Order Completed' then {{ json_amount('properties', 'total') }}
        end as order_total
    from events
    where user_id is not null
)

select
    user_id,
    min(occurred_at) as first_event_at,
    max(occurred_at) filter (where event = 'Session Started') as last_session_at,
    count(*) filter (
        where event = 'Session Started' and {{ within_days('occurred_at', 30) }}
    ) as sessions_30d,
    count(*) filter (
        where event = 'Session Started' and {{ within_days('occurred_at', 90) }}
    ) as sessions_90d,
    count(*) filter (where event = 'Session Started') as sessions_total,
    count(*) filter (
        where event = 'Feature Used' and {{ within_days('occurred_at', 30) }}
    ) as features_used_30d,
    count(distinct feature_name) as unique_feature_count,
    {{ json_sorted_list('feature_name') }} as features_adopted,
    count(*) filter (where feature_name = 'export') as exports_total,
    count(*) filter (where event = 'Onboarding Completed') > 0 as onboarding_completed,
    count(distinct step_id) as onboarding_steps_completed,
    count(*) filter (where event = 'Order Completed') as orders_total,
    sum(order_total) as revenue_total,
    max(occurred_at) filter (where event = 'Order Completed') as last_order_at
from behaviour
group by user_id
