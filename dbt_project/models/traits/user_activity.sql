{{ config(materialized='ephemeral') }}

with events as (select * from {{ ref('events_as_of') }})

select
    user_id,
    min(occurred_at) as first_event_at,
    {{ event_last_at('Session Started') }} as last_session_at,
    {{ event_count('Session Started', days=30) }} as sessions_30d,
    {{ event_count('Session Started', days=90) }} as sessions_90d,
    {{ event_count('Session Started') }} as sessions_total,
    {{ event_count('Feature Used', days=30) }} as features_used_30d,
    {{ unique_count('Feature Used', 'feature_name') }} as unique_feature_count,
    {{ unique_list('Feature Used', 'feature_name') }} as features_adopted,
    count(*) filter (
        where {{ event_text('Feature Used', 'feature_name') }} = 'export'
    ) as exports_total,
    max(occurred_at) filter (
        where {{ event_text('Feature Used', 'feature_name') }} = {{ quoted(var('gap_feature')) }}
    ) as gap_feature_used_at,
    {{ event_exists('Onboarding Completed') }} as onboarding_completed,
    {{ percent_of_checklist(
        'Onboarding Step Completed', 'step_id', steps=var('onboarding_steps')
    ) }}
        as onboarding_steps_percentage,
    {{ event_count('Order Completed') }} as orders_total,
    {{ event_sum('Order Completed', 'total') }} as revenue_total,
    {{ event_last_at('Order Completed') }} as last_order_at,
    {{ event_count('Nudge Responded', days=90) }} as nudges_answered_90d,
    {{ ratio(
        "count(*) filter (where " ~ event_text('Nudge Responded', 'response', days=90) ~ " = 'clicked')",
        event_count('Nudge Responded', days=90)
    ) }} as nudge_click_rate,
    {{ abandoned('Product Added', 'Order Completed', hours=24) }} as cart_abandoned_at,
    {{ abandoned('Onboarding Completed', 'Report Generated', hours=168) }}
        as onboarded_without_report_at,
    {{ abandoned('Dashboard Viewed', 'Data Exported', hours=24) }} as dashboard_without_export_at
from events
where user_id is not null
group by user_id
