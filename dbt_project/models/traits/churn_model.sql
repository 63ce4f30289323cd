with snapshots as (select * from {{ ref('churn_snapshots') }}),

groups as (
    select
        recency,
        frequency,
        trend,
        count(churned) as users,
        count(*) filter (where churned) as churned
    from snapshots
    group by recency, frequency, trend
),

-- what is known of the wider groups that a group is in
wider as (
    select
        *,
        cast(sum(users) over (partition by recency, frequency) as bigint) as frequency_users,
        cast(sum(churned) over (partition by recency, frequency) as bigint) as frequency_churned,
        cast(sum(users) over (partition by recency) as bigint) as recency_users,
        cast(sum(churned) over (partition by recency) as bigint) as recency_churned,
        cast(sum(users) over () as bigint) as all_users,
        cast(sum(churned) over () as bigint) as all_churned
    from groups
),

overall as (
    select
        *,
        cast(all_churned + 1 as double) / (all_users + 2) as all_risk
    from wider
),

by_recency as (
    select
        *,
        {{ shrunk_rate('recency_churned', 'recency_users', 'all_risk') }} as recency_risk
    from overall
),

by_frequency as (
    select
        *,
        {{ shrunk_rate('frequency_churned', 'frequency_users', 'recency_risk') }} as frequency_risk
    from by_recency
)

select
    recency,
    frequency,
    trend,
    users,
    churned,
    frequency_users,
    frequency_churned,
    recency_users,
    recency_churned,
    all_users,
    all_churned,
    case
        when all_users >= {{ var('churn_least_history') }}
            then {{ shrunk_rate('churned', 'users', 'frequency_risk') }}
    end as risk
from by_frequency
