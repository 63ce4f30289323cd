{{ config(
    materialized='kept_by_user',
    events='events_as_of',
    of_users=['user_profile', 'streak_resets']
) }}
-- depends_on: {{ ref('events_as_of') }}, {{ ref('user_profile') }}, {{ ref('streak_resets') }}

with activity as (select * from {{ ref('user_activity') }}),

features as (select * from {{ ref('user_features') }}),

onboarding as (select * from {{ ref('user_onboarding') }}),

use_cases as (select * from {{ ref('user_use_case') }}),

rhythm as (select * from {{ ref('user_rhythm') }}),

streaks as (select * from {{ ref('user_streaks') }}),

visits as (select * from {{ ref('user_visits') }}),

send_hours as (select * from {{ ref('user_send_hour') }})

select
    activity.user_id,
    activity.first_event_at,
    activity.last_session_at,
    activity.sessions_30d,
    activity.sessions_90d,
    activity.sessions_total,
    activity.orders_total,
    activity.revenue_total,
    activity.last_order_at,
    activity.nudges_answered_90d,
    activity.nudge_click_rate,
    activity.last_added_at,
    activity.last_onboarded_at,
    activity.last_report_at,
    activity.last_dashboard_at,
    activity.last_export_at,
    coalesce(features.features_used_30d, 0) as features_used_30d,
    coalesce(features.unique_feature_count, 0) as unique_feature_count,
    coalesce(features.features_adopted, cast('[]' as json)) as features_adopted,
    coalesce(features.features_used_90d, cast('[]' as json)) as features_used_90d,
    coalesce(features.exports_total, 0) as exports_total,
    features.gap_feature_used_at,
    coalesce(onboarding.onboarding_completed, false) as onboarding_completed,
    coalesce(onboarding.onboarding_steps_percentage, 0.0) as onboarding_steps_percentage,
    use_cases.primary_use_case,
    coalesce(rhythm.session_gaps, 0) as session_gaps,
    rhythm.session_gap_median_days,
    coalesce(streaks.short_session_streak, 0) as short_session_streak,
    coalesce(streaks.session_days_in_a_row, 0) as session_days_in_a_row,
    coalesce(visits.visits_30d, 0) as visits_30d,
    visits.median_visit_seconds_30d,
    send_hours.best_send_hour
from activity
left join features on activity.user_id = features.user_id
left join onboarding on activity.user_id = onboarding.user_id
left join use_cases on activity.user_id = use_cases.user_id
left join rhythm on activity.user_id = rhythm.user_id
left join streaks on activity.user_id = streaks.user_id
left join visits on activity.user_id = visits.user_id
left join send_hours on activity.user_id = send_hours.user_id
