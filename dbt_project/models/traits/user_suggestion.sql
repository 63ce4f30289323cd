{{ config(materialized='ephemeral') }}

with facts as (
    select * from {{ ref('user_facts') }}
    where primary_use_case is not null
),

adopted as (
    select
        user_id,
        primary_use_case,
        {{ json_texts('features_adopted') }} as feature_name
    from facts
),

lately as (
    select
        primary_use_case,
        {{ json_texts('features_used_90d') }} as feature_name
    from facts
),

-- how many users of a category have used a feature lately, most first
ranked as (
    select
        primary_use_case,
        feature_name,
        row_number() over (
            partition by primary_use_case order by count(*) desc, feature_name asc
        ) as place
    from lately
    group by primary_use_case, feature_name
),

-- the first place that the user does not fill: places are whole, so it is found by counting
own_places as (
    select
        adopted.user_id,
        adopted.primary_use_case,
        ranked.place,
        row_number() over (partition by adopted.user_id order by ranked.place) as nth
    from adopted
    left join ranked
        on
            adopted.primary_use_case = ranked.primary_use_case
            and adopted.feature_name = ranked.feature_name
),

first_gaps as (
    select
        user_id,
        primary_use_case,
        1 + count(*) filter (where place = nth) as place
    from own_places
    group by user_id, primary_use_case
)

select
    first_gaps.user_id,
    ranked.feature_name as suggested_feature
from first_gaps
inner join ranked
    on
        first_gaps.primary_use_case = ranked.primary_use_case
        and first_gaps.place = ranked.place
