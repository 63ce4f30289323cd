{{ config(materialized='ephemeral') }}

with aliases as (select * from {{ ref('stg_aliases') }}),

visible as (
    select
        *,
        row_number() over (
            partition by coalesce(message_id, row_id)
            order by received_at, row_id, occurred_at, previous_id, user_id
        ) as copy_number
    from aliases
    where
        row_id is not null
        and previous_id is not null
        and user_id is not null
        and {{ visible() }}
)

select
    row_id,
    previous_id,
    user_id,
    occurred_at,
    received_at
from visible
where copy_number = 1
