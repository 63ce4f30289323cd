{{ config(materialized='table') }}

with identifies as (select * from {{ ref('stg_identifies') }}),

visible as (
    select
        *,
        row_number() over (
            partition by coalesce(message_id, row_id) order by received_at, row_id
        ) as copy_number
    from identifies
    where
        row_id is not null
        and user_id is not null
        and {{ visible() }}
)

select
    row_id,
    message_id,
    user_id,
    anonymous_id,
    email,
    phone,
    country,
    region,
    time_zone,
    plan,
    signup_at,
    occurred_at,
    received_at
from visible
where copy_number = 1
