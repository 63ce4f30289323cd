-- The 13 audiences over by_hand.user_traits.
create table by_hand.cart_abandoned as
select
    user_id,
    cart_abandoned_at,
    orders_total
from by_hand.user_traits
where cart_abandoned_at > getvariable('as_of') - interval '7 days';

create table by_hand.dashboard_no_export as
select
    user_id,
    dashboard_without_export_at,
    exports_total
from by_hand.user_traits
where dashboard_without_export_at > getvariable('as_of') - interval '7 days';

create table by_hand.depth_nudge as
select
    user_id,
    sessions_total,
    primary_use_case
from by_hand.user_traits
where exports_total = 0 and sessions_total > 10;

-- who has been away for twice the time that active users usually are
create table by_hand.dormant as
select
    user_id,
    last_session_at,
    sessions_total
from by_hand.user_traits
where days_since_last_session > 2 * (
    select nullif(quantile_cont(session_gap_median_days, 0.5), 0)
    from by_hand.user_traits
    where sessions_total > 3 and days_since_last_session < 90
);

create table by_hand.feature_adoption as
select
    user_id,
    unique_feature_count,
    features_adopted
from by_hand.user_traits
where onboarding_completed and unique_feature_count < 3 and account_age_days > 14;

create table by_hand.feature_gap as
select
    user_id,
    features_adopted,
    suggested_feature
from by_hand.user_traits
where
    account_age_days > 7
    and (days_since_gap_feature is null or days_since_gap_feature >= 14);

create table by_hand.new_signups_no_purchase as
select
    user_id,
    signup_at,
    plan
from by_hand.user_traits
where
    orders_total = 0
    and signup_at > getvariable('as_of') - interval '30 days'
    and signup_at <= getvariable('as_of') - interval '3 days';

create table by_hand.onboarded_no_report as
select
    user_id,
    onboarded_without_report_at,
    primary_use_case
from by_hand.user_traits
where onboarded_without_report_at is not null;

create table by_hand.order_completed_last_30days as
select
    user_id,
    last_order_at,
    orders_total
from by_hand.user_traits
where last_order_at > getvariable('as_of') - interval '30 days';

create table by_hand.overdue as
select
    user_id,
    last_session_at,
    session_gap_median_days
from by_hand.user_traits
where sessions_total >= 5 and days_since_last_session > 2 * session_gap_median_days;

create table by_hand.re_engagement as
select
    user_id,
    last_session_at,
    sessions_90d
from by_hand.user_traits
where days_since_last_session > 7 and sessions_90d > 3;

create table by_hand.recently_lapsed as
select
    user_id,
    last_session_at,
    sessions_30d
from by_hand.user_traits
where days_since_last_session > 7 and sessions_30d > 3;

create table by_hand.shallow_sessions as
select
    user_id,
    short_session_streak,
    last_session_at
from by_hand.user_traits
where short_session_streak >= 3;
