with identifies as (select * from {{ ref('identifies_as_of') }}),

aliases as (select * from {{ ref('aliases_as_of') }}),

user_merges as (select * from {{ ref('user_merges') }}),

claims as (
    select
        anonymous_id,
        user_id,
        occurred_at,
        received_at,
        row_id
    from identifies
    where anonymous_id is not null
    union all
    select
        previous_id as anonymous_id,
        user_id,
        occurred_at,
        received_at,
        row_id
    from aliases
),

ranked as (
    select
        anonymous_id,
        user_id,
        {{ known_at() }} as linked_at,
        row_number() over (
            partition by anonymous_id order by occurred_at, received_at, row_id, user_id
        ) as claim_number
    from claims
)

select
    ranked.anonymous_id,
    coalesce(user_merges.user_id, ranked.user_id) as user_id,
    greatest(ranked.linked_at, user_merges.merged_at) as linked_at
from ranked
left join user_merges on ranked.user_id = user_merges.merged_user_id
where ranked.claim_number = 1
