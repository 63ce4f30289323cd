with profiles as (select * from {{ ref('user_profile') }}),

activity as (select * from {{ ref('user_activity') }}),

features as (select * from {{ ref('user_features') }}),

onboarding as (select * from {{ ref('user_onboarding') }}),

use_cases as (select * from {{ ref('user_use_case') }}),

churn as (select * from {{ ref('user_churn') }}),

rhythm as (select * from {{ ref('user_rhythm') }}),

streaks as (select * from {{ ref('user_streaks') }}),

visits as (select * from {{ ref('user_visits') }}),

send_hours as (select * from {{ ref('user_send_hour') }}),

rfm as (select * from {{ ref('user_rfm') }}),

suggestions as (select * from {{ ref('user_suggestion') }}),

primary_emails as (
    select
        user_id,
        email
    from {{ ref('user_emails') }}
    where is_primary
),

-- known by an identify, by an event, or by both
users as (
    select user_id from profiles
    union
    select user_id from activity
),

combined as (
    select
        users.user_id,
        primary_emails.email,
        profiles.phone,
        profiles.country,
        profiles.region,
        profiles.time_zone,
        profiles.plan,
        least(profiles.first_identified_at, activity.first_event_at) as first_seen_at,
        profiles.signup_at,
        activity.last_session_at,
        coalesce(activity.sessions_30d, 0) as sessions_30d,
        coalesce(activity.sessions_90d, 0) as sessions_90d,
        coalesce(activity.sessions_total, 0) as sessions_total,
        coalesce(features.features_used_30d, 0) as features_used_30d,
        coalesce(features.unique_feature_count, 0) as unique_feature_count,
        coalesce(features.features_adopted, cast('[]' as json)) as features_adopted,
        coalesce(features.exports_total, 0) as exports_total,
        coalesce(onboarding.onboarding_completed, false) as onboarding_completed,
        coalesce(onboarding.onboarding_steps_percentage, 0.0) as onboarding_steps_percentage,
        use_cases.primary_use_case,
        coalesce(activity.orders_total, 0) as orders_total,
        cast(coalesce(activity.revenue_total, 0) as double) as revenue_total,
        activity.last_order_at,
        features.gap_feature_used_at,
        rhythm.session_gap_median_days,
        coalesce(streaks.short_session_streak, 0) as short_session_streak,
        coalesce(streaks.session_day_streak, 0) as session_day_streak,
        coalesce(visits.visits_30d, 0) as visits_30d,
        visits.median_visit_seconds_30d,
        activity.cart_abandoned_at,
        activity.onboarded_without_report_at,
        activity.dashboard_without_export_at,
        send_hours.best_send_hour,
        suggestions.suggested_feature,
        coalesce(activity.nudges_answered_90d, 0) as nudges_answered_90d,
        activity.nudge_click_rate,
        rfm.rfm_recency,
        rfm.rfm_frequency,
        rfm.rfm_monetary,
        churn.churn_risk
    from users
    left join profiles on users.user_id = profiles.user_id
    left join activity on users.user_id = activity.user_id
    left join features on users.user_id = features.user_id
    left join onboarding on users.user_id = onboarding.user_id
    left join use_cases on users.user_id = use_cases.user_id
    left join churn on users.user_id = churn.user_id
    left join rhythm on users.user_id = rhythm.user_id
    left join streaks on users.user_id = streaks.user_id
    left join visits on users.user_id = visits.user_id
    left join send_hours on users.user_id = send_hours.user_id
    left join suggestions on users.user_id = suggestions.user_id
    left join rfm on users.user_id = rfm.user_id
    left join primary_emails on users.user_id = primary_emails.user_id
)

select
    user_id,
    email,
    phone,
    country,
    region,
    time_zone,
    plan,
    first_seen_at,
    signup_at,
    {{ days_since('coalesce(signup_at, first_seen_at)') }} as account_age_days,
    last_session_at,
    {{ days_since('last_session_at') }} as days_since_last_session,
    sessions_30d,
    sessions_90d,
    sessions_total,
    features_used_30d,
    unique_feature_count,
    features_adopted,
    exports_total,
    onboarding_completed,
    case
        when onboarding_completed then 100.0
        else onboarding_steps_percentage
    end as onboarding_completion_percentage,
    primary_use_case,
    orders_total,
    revenue_total,
    last_order_at,
    {{ days_since('gap_feature_used_at') }} as days_since_gap_feature,
    session_gap_median_days,
    short_session_streak,
    session_day_streak,
    visits_30d,
    median_visit_seconds_30d,
    cart_abandoned_at,
    onboarded_without_report_at,
    dashboard_without_export_at,
    best_send_hour,
    suggested_feature,
    nudges_answered_90d,
    nudge_click_rate,
    rfm_recency,
    rfm_frequency,
    rfm_monetary,
    churn_risk
from combined
