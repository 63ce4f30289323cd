with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    sessions_total,
    primary_use_case
from users
where
    exports_total = 0
    and sessions_total > 10
