with uses as (select * from {{ ref('user_feature_uses') }}),

categories as (
    select
        user_id,
        feature_category,
        sum(uses) as uses
    from uses
    where feature_category is not null
    group by user_id, feature_category
),

-- of equals the first in the alphabet
ranked as (
    select
        user_id,
        feature_category,
        row_number() over (
            partition by user_id order by uses desc, feature_category asc
        ) as place
    from categories
)

select
    user_id,
    feature_category as primary_use_case
from ranked
where place = 1
