with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    signup_at,
    plan
from users
where
    orders_total = 0
    and {{ within_days('signup_at', 30) }}
    and {{ days_since('signup_at') }} >= 3
