with pairs as (
    select
        left_id,
        right_id
    from {{ ref('identity_edges') }}
    where is_kept
),

components as (
    {{ connected_components('pairs') }}
)

select
    id as user_id,
    component as group_id,
    count(*) over (partition by component) as ids,
    count(*) over (partition by component) <= {{ identity_most_ids() }} as is_kept
from components
