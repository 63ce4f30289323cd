-- Continues traits_2_behaviour.sql: the risk that a user stays away.
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
