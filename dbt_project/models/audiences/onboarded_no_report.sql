with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    onboarded_without_report_at,
    primary_use_case
from users
where onboarded_without_report_at is not null
