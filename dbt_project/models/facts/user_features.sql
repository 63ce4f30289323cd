with uses as (select * from {{ ref('user_feature_uses') }}),

-- one row per feature, whatever its categories: nothing has to be made distinct any more
features as (
    select
        user_id,
        feature_name,
        sum(uses) as uses,
        sum(uses_30d) as uses_30d,
        sum(uses_90d) as uses_90d,
        max(last_used_at) as last_used_at
    from uses
    group by user_id, feature_name
)

select
    user_id,
    cast(sum(uses_30d) as bigint) as features_used_30d,
    count(feature_name) as unique_feature_count,
    {{ sorted_list('feature_name') }} as features_adopted,
    {{ sorted_list('case when uses_90d > 0 then feature_name end') }} as features_used_90d,
    cast(coalesce(sum(uses) filter (where feature_name = 'export'), 0) as bigint) as exports_total,
    max(last_used_at) filter (
        where feature_name = {{ quoted(var('gap_feature')) }}
    ) as gap_feature_used_at
from features
group by user_id
