-- All columns of user_traits, as somebody who knows DuckDB and these rows would write them for one
-- as-of, in one statement. The rows of the benchmark are clean, so nothing is trimmed or checked;
-- nobody is merged, and no user has left an audience yet: neither is asked for.
create table by_hand.user_traits as
with identifies as materialized (
    select * from raw.identifies
    where timestamp <= getvariable('as_of')
    qualify row_number() over (
        partition by coalesce(message_id, id) order by received_at, id
    ) = 1
),

devices as (
    select
        anonymous_id,
        arg_min(user_id, (timestamp, received_at, id, user_id)) as user_id,
        min(timestamp) as linked_at
    from identifies
    where anonymous_id is not null
    group by anonymous_id
),

profiles as materialized (
    select
        user_id,
        min(timestamp) as first_identified_at,
        arg_max(email, (timestamp, received_at, id)) filter (email is not null) as email,
        arg_max(phone, (timestamp, received_at, id)) filter (phone is not null) as phone,
        arg_max(country, (timestamp, received_at, id)) filter (country is not null) as country,
        arg_max(region, (timestamp, received_at, id)) filter (region is not null) as region,
        arg_max(time_zone, (timestamp, received_at, id)) filter (time_zone is not null)
            as time_zone,
        arg_max(plan, (timestamp, received_at, id)) filter (plan is not null) as plan,
        arg_max(signup_at, (timestamp, received_at, id)) filter (signup_at is not null)
            as signup_at
    from identifies
    group by user_id
),

repeated as (
    select hash(coalesce(message_id, id)) as message_hash
    from raw.tracks
    where timestamp <= getvariable('as_of')
    group by message_hash
    having count(*) > 1
),

later_copies as materialized (
    select id
    from raw.tracks
    where
        timestamp <= getvariable('as_of')
        and hash(coalesce(message_id, id)) in (from repeated)
    qualify row_number() over (
        partition by coalesce(message_id, id) order by received_at, id
    ) > 1
),

-- read anew by whoever needs it: a scan costs less than keeping all of it
tracks as not materialized (
    select
        coalesce(tracks.user_id, devices.user_id) as user_id,
        case when tracks.user_id is null then devices.linked_at end as linked_at,
        tracks.event,
        tracks.properties,
        tracks.timestamp as occurred_at,
        tracks.received_at,
        tracks.id
    from raw.tracks as tracks
    left join devices
        on tracks.user_id is null and tracks.anonymous_id = devices.anonymous_id
    where
        tracks.timestamp <= getvariable('as_of')
        and tracks.id not in (from later_copies)
        and coalesce(tracks.user_id, devices.user_id) is not null
),

-- few rows per user, from which all that only counts, sums or takes the first or last is made
uses as materialized (
    select
        user_id,
        event,
        nullif(case event
            when 'Feature Used' then properties ->> '/feature_name'
            when 'Onboarding Step Completed' then properties ->> '/step_id'
            when 'Nudge Responded' then properties ->> '/response'
        end, '') as detail,
        case when event = 'Feature Used' then nullif(properties ->> '/feature_category', '') end
            as category,
        count(*) as times,
        count(*) filter (occurred_at > getvariable('as_of') - interval '30 days') as times_30d,
        count(*) filter (occurred_at > getvariable('as_of') - interval '90 days') as times_90d,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        sum(case
            when event = 'Order Completed'
                then try_cast(properties ->> '/total' as decimal(18, 6))
        end) as amount
    from tracks
    group by all
),

activity as materialized (
    select
        user_id,
        min(first_at) as first_event_at,
        max(last_at) filter (event = 'Session Started') as last_session_at,
        sum(times_30d) filter (event = 'Session Started') as sessions_30d,
        sum(times_90d) filter (event = 'Session Started') as sessions_90d,
        sum(times) filter (event = 'Session Started') as sessions_total,
        sum(times_30d) filter (event = 'Feature Used') as features_used_30d,
        list_sort(list_distinct(
            list(detail) filter (event = 'Feature Used' and detail is not null)
        )) as features,
        sum(times) filter (event = 'Feature Used' and detail = 'export') as exports_total,
        max(last_at) filter (event = 'Feature Used' and detail = 'export') as gap_feature_used_at,
        count(*) filter (event = 'Onboarding Completed') > 0 as onboarding_completed,
        count(detail) filter (event = 'Onboarding Step Completed') as onboarding_steps,
        sum(times) filter (event = 'Order Completed') as orders_total,
        sum(amount) as revenue_total,
        max(last_at) filter (event = 'Order Completed') as last_order_at,
        sum(times_90d) filter (event = 'Nudge Responded') as nudges_90d,
        sum(times_90d) filter (event = 'Nudge Responded' and detail = 'clicked') as clicks_90d,
        max(last_at) filter (event = 'Product Added') as added_at,
        max(last_at) filter (event = 'Onboarding Completed') as onboarded_at,
        max(last_at) filter (event = 'Report Generated') as reported_at,
        max(last_at) filter (event = 'Dashboard Viewed') as dashboard_at,
        max(last_at) filter (event = 'Data Exported') as exported_at
    from uses
    group by user_id
),

use_cases as materialized (
    select
        user_id,
        arg_min(category, (-times, category)) as primary_use_case
    from (
        select
            user_id,
            category,
            sum(times) as times
        from uses
        where category is not null
        group by user_id, category
    ) as categories
    group by user_id
),

-- the features of a category in the order in which users of it should try them
favourites as (
    select
        primary_use_case,
        list(feature order by users desc, feature) as features
    from (
        select
            use_cases.primary_use_case,
            uses.detail as feature,
            count(distinct uses.user_id) as users
        from uses
        inner join use_cases on uses.user_id = use_cases.user_id
        where
            uses.event = 'Feature Used'
            and uses.detail is not null
            and uses.times_90d > 0
        group by use_cases.primary_use_case, uses.detail
    ) as features
    group by primary_use_case
),

sessions as materialized (
    select
        user_id,
        occurred_at,
        linked_at
    from tracks
    where event = 'Session Started'
),

rhythm as (
    select
        user_id,
        quantile_cont((epoch_us(occurred_at) - epoch_us(previous_at)) / 1000000.0, 0.5) / 86400
            as session_gap_median_days,
        case
            when max(occurred_at) >= cast(getvariable('as_of') as date) - 1
                then 1 + cast(max(occurred_at) as date) - cast(max(occurred_at) filter (
                    previous_at is null
                    or cast(occurred_at as date) - cast(previous_at as date) > 1
                ) as date)
            else 0
        end as session_day_streak
    from (
        select
            user_id,
            occurred_at,
            lag(occurred_at) over (partition by user_id order by occurred_at) as previous_at
        from sessions
    ) as followed
    group by user_id
),

zones as (
    select
        profiles.user_id,
        known.name as time_zone
    from profiles
    inner join pg_timezone_names() as known on profiles.time_zone = known.name
),

send_hours as (
    select
        user_id,
        arg_min(hour, (-times, hour)) as best_send_hour
    from (
        select
            sessions.user_id,
            extract(hour from timezone(
                coalesce(zones.time_zone, 'UTC'), timezone('UTC', sessions.occurred_at)
            )) as hour,
            count(*) as times
        from sessions
        left join zones on sessions.user_id = zones.user_id
        where sessions.occurred_at > getvariable('as_of') - interval '90 days'
        group by all
    ) as hours
    group by user_id
),

endings as (
    select
        user_id,
        occurred_at,
        received_at,
        id,
        coalesce(
            try_cast(properties ->> '/duration_seconds' as decimal(18, 6)) < 120, false
        ) as is_short
    from tracks
    where event = 'Session Ended'
),

-- the last long session by the clock alone first: few rows are left to be put in exact order
latest_endings as (
    select * from endings
    qualify coalesce(
        occurred_at >= max(occurred_at) filter (not is_short) over (partition by user_id), true
    )
),

streaks as (
    select
        user_id,
        count(*) filter (broken is null or moment > broken) as short_session_streak
    from (
        select
            user_id,
            (occurred_at, received_at, id) as moment,
            max(case when not is_short then (occurred_at, received_at, id) end)
                over (partition by user_id) as broken
        from latest_endings
    ) as ordered
    group by user_id
),

visits as (
    select
        user_id,
        count(*) as visits_30d,
        quantile_cont((epoch_us(ended_at) - epoch_us(occurred_at)) / 1000000.0, 0.5)
            as median_visit_seconds_30d
    from (
        select
            user_id,
            occurred_at,
            lead(previous_at, 1, last_at) over (partition by user_id order by occurred_at)
                as ended_at
        from (
            select
                user_id,
                occurred_at,
                lag(occurred_at) over (partition by user_id order by occurred_at) as previous_at,
                max(occurred_at) over (partition by user_id) as last_at
            from tracks
            where occurred_at > getvariable('as_of') - interval '30 days'
        ) as recent
        where previous_at is null or occurred_at > previous_at + interval '30 minutes'
    ) as starts
    group by user_id
),

scores as (
    select
        user_id,
        1 + cast(floor(
            5.0 * (rank() over (order by last_order_at) - 1) / count(*) over ()
        ) as bigint) as rfm_recency,
        1 + cast(floor(
            5.0 * (rank() over (order by orders_total) - 1) / count(*) over ()
        ) as bigint) as rfm_frequency,
        1 + cast(floor(
            5.0 * (rank() over (order by coalesce(revenue_total, 0)) - 1) / count(*) over ()
        ) as bigint) as rfm_monetary
    from activity
    where orders_total > 0
),

-- sessions by 30 days before the as-of, and by when they came to be known
periods as materialized (
    select
        user_id,
        (epoch_us(getvariable('as_of')) - epoch_us(occurred_at)) // 2592000000000 as period,
        (
            epoch_us(getvariable('as_of'))
            - epoch_us(greatest(occurred_at, coalesce(linked_at, occurred_at)))
        ) // 2592000000000 as known_period,
        count(*) as sessions,
        max(occurred_at) as last_session_at
    from sessions
    where occurred_at > getvariable('as_of') - interval '210 days'
    group by all
),

snapshots as materialized (
    select
        user_id,
        snapshot,
        case
            when last_session_at > snapshot_at - interval '3 days' then 'within 3 days'
            when last_session_at > snapshot_at - interval '7 days' then 'within 7 days'
            when last_session_at > snapshot_at - interval '14 days' then 'within 14 days'
            when last_session_at > snapshot_at - interval '30 days' then 'within 30 days'
            when last_session_at > snapshot_at - interval '60 days' then 'within 60 days'
            else 'within 90 days'
        end as recency,
        case
            when sessions_90d = 1 then '1'
            when sessions_90d <= 3 then '2 to 3'
            when sessions_90d <= 9 then '4 to 9'
            when sessions_90d <= 29 then '10 to 29'
            else '30 or more'
        end as frequency,
        case
            when sessions_90d = sessions_30d then 'new'
            when 2 * sessions_30d >= sessions_90d - sessions_30d then 'steady'
            when 4 * sessions_30d >= sessions_90d - sessions_30d then 'fewer'
            else 'far fewer'
        end as trend,
        case when snapshot > 0 then not came_back end as churned
    from (
        select
            periods.user_id,
            numbers.snapshot,
            getvariable('as_of') - numbers.snapshot * interval '30 days' as snapshot_at,
            max(periods.last_session_at) filter (known_period >= snapshot) as last_session_at,
            coalesce(sum(periods.sessions) filter (
                known_period >= snapshot and period = snapshot
            ), 0) as sessions_30d,
            sum(periods.sessions) filter (known_period >= snapshot) as sessions_90d,
            count(*) filter (period = snapshot - 1) > 0 as came_back
        from periods
        inner join range(5) as numbers (snapshot)
            on
                periods.period between numbers.snapshot - 1 and numbers.snapshot + 2
                and (
                    numbers.snapshot = 0
                    or numbers.snapshot + 2 <= (select max(period) from periods)
                )
        group by all
        having count(*) filter (known_period >= snapshot) > 0
    ) as observed
),

-- how many of those alike did not come back, drawn towards the wider group by 20 cases
risks as (
    select
        recency,
        frequency,
        trend,
        case
            when sum(observations) over () >= 200
                then (churned + 20::double * ((
                    sum(churned) over (partition by recency, frequency) + 20::double * ((
                        sum(churned) over (partition by recency) + 20::double * (
                            cast(sum(churned) over () + 1 as double)
                            / (sum(observations) over () + 2)
                        )
                    ) / (sum(observations) over (partition by recency) + 20::double))
                ) / (sum(observations) over (partition by recency, frequency) + 20::double)))
                / (observations + 20::double)
        end as churn_risk
    from (
        select
            recency,
            frequency,
            trend,
            count(churned) as observations,
            count(*) filter (churned) as churned
        from snapshots
        group by recency, frequency, trend
    ) as alike
),

churn as (
    select
        snapshots.user_id,
        risks.churn_risk
    from snapshots
    inner join risks using (recency, frequency, trend)
    where snapshots.snapshot = 0
)

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
