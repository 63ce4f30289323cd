with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    unique_feature_count,
    features_adopted
from users
where
    onboarding_completed
    and unique_feature_count < 3
    and account_age_days > 14
