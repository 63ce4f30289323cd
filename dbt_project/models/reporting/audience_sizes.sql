with evaluations as (select * from {{ source('tailrace', 'evaluations') }}),

ranked as (
    select
        audience,
        as_of,
        members,
        entered,
        exited,
        origin,
        row_number() over (
            partition by audience, as_of order by evaluated_at desc, evaluation_id desc
        ) as recency
    from evaluations
    where status = 'committed' and replaced_at is null
)

select
    audience,
    as_of,
    cast(as_of as date) as as_of_day,
    members,
    entered,
    exited,
    origin
from ranked
where recency = 1
