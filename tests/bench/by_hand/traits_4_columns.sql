-- Ends the statement that traits_1_activity.sql begins.
select
    coalesce(profiles.user_id, activity.user_id) as user_id,
    profiles.email,
    profiles.phone,
    profiles.country,
    profiles.region,
    profiles.time_zone,
    profiles.plan,
    least(profiles.first_identified_at, activity.first_event_at) as first_seen_at,
    profiles.signup_at,
    (
        epoch_us(getvariable('as_of')) - epoch_us(coalesce(profiles.signup_at, first_seen_at))
    ) / 86400000000.0 as account_age_days,
    activity.last_session_at,
    (epoch_us(getvariable('as_of')) - epoch_us(activity.last_session_at)) / 86400000000.0
        as days_since_last_session,
    cast(coalesce(activity.sessions_30d, 0) as bigint) as sessions_30d,
    cast(coalesce(activity.sessions_90d, 0) as bigint) as sessions_90d,
    cast(coalesce(activity.sessions_total, 0) as bigint) as sessions_total,
    cast(coalesce(activity.features_used_30d, 0) as bigint) as features_used_30d,
    coalesce(len(activity.features), 0) as unique_feature_count,
    to_json(coalesce(activity.features, [])) as features_adopted,
    cast(coalesce(activity.exports_total, 0) as bigint) as exports_total,
    coalesce(activity.onboarding_completed, false) as onboarding_completed,
    case
        when activity.onboarding_completed then 100.0
        else least(100.0 * coalesce(activity.onboarding_steps, 0) / 5, 100.0)
    end as onboarding_completion_percentage,
    use_cases.primary_use_case,
    cast(coalesce(activity.orders_total, 0) as bigint) as orders_total,
    cast(coalesce(activity.revenue_total, 0) as double) as revenue_total,
    activity.last_order_at,
    (epoch_us(getvariable('as_of')) - epoch_us(activity.gap_feature_used_at)) / 86400000000.0
        as days_since_gap_feature,
    rhythm.session_gap_median_days,
    coalesce(streaks.short_session_streak, 0) as short_session_streak,
    coalesce(rhythm.session_day_streak, 0) as session_day_streak,
    coalesce(visits.visits_30d, 0) as visits_30d,
    visits.median_visit_seconds_30d,
    case
        when
            added_at + interval '24 hours' <= getvariable('as_of')
            and coalesce(last_order_at < added_at, true)
            then added_at + interval '24 hours'
    end as cart_abandoned_at,
    case
        when
            onboarded_at + interval '168 hours' <= getvariable('as_of')
            and coalesce(reported_at < onboarded_at, true)
            then onboarded_at + interval '168 hours'
    end as onboarded_without_report_at,
    case
        when
            dashboard_at + interval '24 hours' <= getvariable('as_of')
            and coalesce(exported_at < dashboard_at, true)
            then dashboard_at + interval '24 hours'
    end as dashboard_without_export_at,
    send_hours.best_send_hour,
    case
        when activity.features is not null
            then list_filter(
                favourites.features,
                lambda feature: not list_contains(activity.features, feature)
            )[1]
    end as suggested_feature,
    cast(coalesce(activity.nudges_90d, 0) as bigint) as nudges_answered_90d,
    cast(coalesce(activity.clicks_90d, 0) as double) / nullif(activity.nudges_90d, 0)
        as nudge_click_rate,
    scores.rfm_recency,
    scores.rfm_frequency,
    scores.rfm_monetary,
    churn.churn_risk
from profiles
full join activity on profiles.user_id = activity.user_id
left join use_cases on activity.user_id = use_cases.user_id
left join favourites on use_cases.primary_use_case = favourites.primary_use_case
left join rhythm on activity.user_id = rhythm.user_id
left join send_hours on activity.user_id = send_hours.user_id
left join streaks on activity.user_id = streaks.user_id
left join visits on activity.user_id = visits.user_id
left join scores on activity.user_id = scores.user_id
left join churn on activity.user_id = churn.user_id
