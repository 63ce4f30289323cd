{{ config(materialized='ephemeral') }}

with events as (select * from {{ ref('events_as_of') }}),

feature_uses as (
    select
        user_id,
        {{ json_text('properties', 'feature_category') }} as feature_category
    from events
    where event = 'Feature Used' and user_id is not null
),

counted as (
    select
        user_id,
        feature_category,
        count(*) as uses
    from feature_uses
    where feature_category is not null
    group by user_id, feature_category
),

ranked as (
    select
        user_id,
        feature_category,
        row_number() over (
            partition by user_id order by uses desc, feature_category asc
        ) as place
    from counted
)

select
    user_id,
    feature_category as primary_use_case
from ranked
where place = 1
