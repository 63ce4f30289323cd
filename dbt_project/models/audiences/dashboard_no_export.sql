with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    dashboard_without_export_at,
    exports_total
from users
where {{ within_days('dashboard_without_export_at', 7) }}
