with profiles as (select * from {{ ref('user_profile') }}),

facts as (select * from {{ ref('user_facts') }}),

churn as (select * from {{ ref('user_churn') }}),

rfm as (select * from {{ ref('user_rfm') }}),

suggestions as (select * from {{ ref('user_suggestion') }}),

primary_emails as (
    select
        user_id,
        email
    from {{ ref('user_emails') }}
    where is_primary
),

combined as (
    select
        -- known by an identify, by an event, or by both
        coalesce(profiles.user_id, facts.user_id) as user_id,
        primary_emails.email,
        profiles.phone,
        profiles.country,
        profiles.region,
        profiles.time_zone,
        profiles.plan,
        least(profiles.first_identified_at, facts.first_event_at) as first_seen_at,
        profiles.signup_at,
        facts.last_session_at,
        coalesce(facts.sessions_30d, 0) as sessions_30d,
        coalesce(facts.sessions_90d, 0) as sessions_90d,
        coalesce(facts.sessions_total, 0) as sessions_total,
        coalesce(facts.features_used_30d, 0) as features_used_30d,
        coalesce(facts.unique_feature_count, 0) as unique_feature_count,
        coalesce(facts.features_adopted, cast('[]' as json)) as features_adopted,
        coalesce(facts.exports_total, 0) as exports_total,
        coalesce(facts.onboarding_completed, false) as onboarding_completed,
        coalesce(facts.onboarding_steps_percentage, 0.0) as onboarding_steps_percentage,
        facts.primary_use_case,
        coalesce(facts.orders_total, 0) as orders_total,
        cast(coalesce(facts.revenue_total, 0) as double) as revenue_total,
        facts.last_order_at,
        facts.gap_feature_used_at,
        facts.session_gap_median_days,
        coalesce(facts.short_session_streak, 0) as short_session_streak,
        case
            when {{ local_date('facts.last_session_at') }} >= {{ local_date(as_of()) }} - 1
                then facts.session_days_in_a_row
            else 0
        end as session_day_streak,
        coalesce(facts.visits_30d, 0) as visits_30d,
        facts.median_visit_seconds_30d,
        {{ abandoned_at('facts.last_added_at', 'facts.last_order_at', hours=24) }}
            as cart_abandoned_at,
        {{ abandoned_at('facts.last_onboarded_at', 'facts.last_report_at', hours=168) }}
            as onboarded_without_report_at,
        {{ abandoned_at('facts.last_dashboard_at', 'facts.last_export_at', hours=24) }}
            as dashboard_without_export_at,
        facts.best_send_hour,
        suggestions.suggested_feature,
        coalesce(facts.nudges_answered_90d, 0) as nudges_answered_90d,
        facts.nudge_click_rate,
        rfm.rfm_recency,
        rfm.rfm_frequency,
        rfm.rfm_monetary,
        churn.churn_risk
    from profiles
    full join facts on profiles.user_id = facts.user_id
    left join primary_emails on profiles.user_id = primary_emails.user_id
    left join churn on facts.user_id = churn.user_id
    left join suggestions on facts.user_id = suggestions.user_id
    left join rfm on facts.user_id = rfm.user_id
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
