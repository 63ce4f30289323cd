with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    cart_abandoned_at,
    orders_total
from users
where {{ within_days('cart_abandoned_at', 7) }}
