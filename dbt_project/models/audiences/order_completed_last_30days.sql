with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    last_order_at,
    orders_total
from users
where {{ within_days('last_order_at', 30) }}
