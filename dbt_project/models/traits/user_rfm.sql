{{ config(materialized='ephemeral') }}

with customers as (
    select * from {{ ref('user_facts') }}
    where orders_total > 0
)

select
    user_id,
    {{ fifth('last_order_at') }} as rfm_recency,
    {{ fifth('orders_total') }} as rfm_frequency,
    {{ fifth('coalesce(revenue_total, 0)') }} as rfm_monetary
from customers
