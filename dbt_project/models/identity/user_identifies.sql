{{ config(materialized='ephemeral') }}

with identifies as (select * from {{ ref('identifies_as_of') }}),

user_merges as (select * from {{ ref('user_merges') }})

select
    identifies.row_id,
    coalesce(user_merges.user_id, identifies.user_id) as user_id,
    identifies.email,
    identifies.phone,
    identifies.country,
    identifies.region,
    identifies.time_zone,
    identifies.plan,
    identifies.signup_at,
    identifies.occurred_at,
    identifies.received_at
from identifies
left join user_merges on identifies.user_id = user_merges.merged_user_id
