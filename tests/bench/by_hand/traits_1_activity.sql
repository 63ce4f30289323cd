-- All columns of user_traits, as somebody who knows DuckDB and these rows would write them for one
-- as-of, in one statement: the four files traits_*.sql, one after the other. The rows of the
-- benchmark are clean, so nothing is trimmed or checked; it has no aliases, so nobody is merged; and
-- no user has left an audience yet, so streaks have no resets.
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
