{{ config(materialized='ephemeral') }}

with feature_events as (
    select * from {{ ref('events_as_of') }}
    where {{ named_event('Feature Used') }} and user_id is not null
),

use_cases as (select * from {{ ref('user_use_case') }}),

uses as (
    select
        user_id,
        {{ json_text('properties', 'feature_name') }} as feature_name,
        max(occurred_at) as last_used_at
    from feature_events
    group by user_id, {{ json_text('properties', 'feature_name') }}
),

adopted as (
    select
        uses.user_id,
        use_cases.primary_use_case,
        uses.feature_name,
        {{ within_days('uses.last_used_at', 90) }} as is_recent
    from uses
    inner join use_cases on uses.user_id = use_cases.user_id
    where uses.feature_name is not null
),

-- how many users of a category have used a feature lately, most first
ranked as (
    select
        primary_use_case,
        feature_name,
        row_number() over (
            partition by primary_use_case order by count(*) desc, feature_name asc
        ) as place
    from adopted
    where is_recent
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
