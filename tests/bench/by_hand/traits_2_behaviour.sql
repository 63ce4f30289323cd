-- Continues traits_1_activity.sql: what takes the order of events, or other users.
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
        -- not quantile_cont of the gaps, which after a window is ten times as slow here
        list_median([
            (epoch_us(gap[2]) - epoch_us(gap[1])) / 1000000.0
            for gap in list_zip(
                list_sort(list(occurred_at))[:-2],
                list_sort(list(occurred_at))[2:]
            )
        ]) / 86400 as session_gap_median_days,
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
