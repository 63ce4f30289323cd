{{ config(materialized='view') }}

with edges as (select * from {{ ref('identity_edges') }}),

identity_groups as (select * from {{ ref('identity_groups') }})

select
    'group_too_large' as problem,
    'group' as id_type,
    group_id as id_value,
    max(ids) as ids
from identity_groups
where not is_kept
group by group_id
union all
select
    'over_limit' as problem,
    id_type,
    id_value,
    max(user_number) as ids
from edges
where not is_kept
group by id_type, id_value
