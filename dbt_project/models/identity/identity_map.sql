with identifies as (select * from {{ ref('identifies_as_of') }}),

ranked as (
    select
        anonymous_id,
        user_id,
        {{ known_at() }} as linked_at,
        row_number() over (
            partition by anonymous_id order by occurred_at, received_at, row_id
        ) as identify_number
    from identifies
    where anonymous_id is not null
)

select
    anonymous_id,
    user_id,
    linked_at
from ranked
where identify_number = 1
