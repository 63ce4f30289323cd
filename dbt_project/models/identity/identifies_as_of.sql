{{ config(materialized='table') }}

with identifies as (select * from {{ ref('stg_identifies') }}),

visible as (
    select * from identifies
    where
        row_id is not null
        and user_id is not null
        and {{ visible() }}
),

-- most messages came once: they need not be put in order
repeated as (
    select coalesce(message_id, row_id) as identify_id
    from visible
    group by coalesce(message_id, row_id)
    having count(*) > 1
),

ranked as (
    select
        *,
        -- by all of it in the end: of copies that differ under one key, the same one has to win
        row_number() over (
            partition by coalesce(message_id, row_id)
            order by
                received_at,
                row_id,
                occurred_at,
                user_id,
                anonymous_id,
                email,
                phone,
                country,
                region,
                time_zone,
                plan,
                signup_at
        ) as copy_number
    from visible
    where coalesce(message_id, row_id) in (select repeated.identify_id from repeated)
),

firsts as (
    select * from visible
    where coalesce(message_id, row_id) not in (select repeated.identify_id from repeated)
    union all
    select * exclude (copy_number) from ranked
    where copy_number = 1
)

select
    row_id,
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
from firsts
