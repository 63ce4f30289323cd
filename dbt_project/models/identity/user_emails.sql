with identifies as (select * from {{ ref('user_identifies') }}),

ranked as (
    select
        user_id,
        email,
        occurred_at,
        row_number() over (
            partition by user_id
            order by occurred_at desc, received_at desc, row_id desc, email asc
        ) as recency
    from identifies
    where email is not null
)

select
    user_id,
    email,
    min(recency) = 1 as is_primary,
    min(occurred_at) as first_seen_at,
    max(occurred_at) as last_seen_at
from ranked
group by user_id, email
