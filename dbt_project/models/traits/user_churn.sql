with snapshots as (select * from {{ ref('churn_snapshots') }}),

model as (select * from {{ ref('churn_model') }})

select
    snapshots.user_id,
    snapshots.recency,
    snapshots.frequency,
    snapshots.trend,
    model.risk as churn_risk
from snapshots
inner join model
    on
        snapshots.recency = model.recency
        and snapshots.frequency = model.frequency
        and snapshots.trend = model.trend
where snapshots.snapshot_number = 0
