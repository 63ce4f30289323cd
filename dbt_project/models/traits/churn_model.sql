{%- set least_history = var('churn_least_history') -%}
{%- do whole_number('var churn_least_history', least_history, most=1000000000) -%}

with snapshots as (select * from {{ ref('churn_snapshots') }}),

groups as (
    select
        recency,
        frequency,
        trend,
        count(churned) as observations,
        count(*) filter (where churned) as churned
    from snapshots
    group by recency, frequency, trend
),

-- what is known of the wider groups that a group is in
wider as (
    select
        *,
        sum(observations) over (partition by recency, frequency) as frequency_observations,
        sum(churned) over (partition by recency, frequency) as frequency_churned,
        sum(observations) over (partition by recency) as recency_observations,
        sum(churned) over (partition by recency) as recency_churned,
        sum(observations) over () as all_observations,
        sum(churned) over () as all_churned
    from groups
),

overall as (
    select
        *,
        cast(all_churned + 1 as double) / (all_observations + 2) as all_risk
    from wider
),

by_recency as (
    select
        *,
        {{ shrunk_rate('recency_churned', 'recency_observations', 'all_risk') }} as recency_risk
    from overall
),

by_frequency as (
    select
        *,
        {{
            shrunk_rate('frequency_churned', 'frequency_observations', 'recency_risk')
        }} as frequency_risk
    from by_recency
)

select
    recency,
    frequency,
    trend,
    observations,
    churned,
    cast(frequency_observations as bigint) as frequency_observations,
    cast(frequency_churned as bigint) as frequency_churned,
    cast(recency_observations as bigint) as recency_observations,
    cast(recency_churned as bigint) as recency_churned,
    cast(all_observations as bigint) as all_observations,
    cast(all_churned as bigint) as all_churned,
    case
        when all_observations >= {{ least_history }}
            then {{ shrunk_rate('churned', 'observations', 'frequency_risk') }}
    end as risk
from by_frequency
