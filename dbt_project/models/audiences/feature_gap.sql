with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    features_adopted,
    suggested_feature
from users
where
    account_age_days > 7
    and (days_since_gap_feature is null or days_since_gap_feature >= 14)
