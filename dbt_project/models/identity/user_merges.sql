with identifies as (select * from {{ ref('identifies_as_of') }}),

edges as (
    select edges.*
    from {{ ref('identity_edges') }} as edges
    inner join {{ ref('identity_groups') }} as tied on edges.right_id = tied.user_id
    where edges.is_kept and tied.is_kept
),

ids as (
    select
        user_id,
        group_id
    from {{ ref('identity_groups') }}
    where is_kept
),

first_identified as (
    select
        user_id,
        min({{ known_at() }}) as known_at
    from identifies
    where user_id in (select ids.user_id from ids)
    group by user_id
),

first_tied as (
    select
        id,
        min(known_at) as known_at,
        bool_or(is_replaced) as is_replaced
    from (
        select
            left_id as id,
            known_at,
            id_type = 'alias' as is_replaced
        from edges
        union all
        select
            right_id as id,
            known_at,
            false as is_replaced
        from edges
    ) as ends
    group by id
),

-- an id that an alias replaced comes last, even if it was seen first
ranked as (
    select
        ids.user_id,
        first_value(ids.user_id) over (
            partition by ids.group_id
            order by
                first_tied.is_replaced,
                coalesce(first_identified.known_at, first_tied.known_at),
                ids.user_id
        ) as canonical_id
    from ids
    inner join first_tied on ids.user_id = first_tied.id
    left join first_identified on ids.user_id = first_identified.user_id
),

-- the linter does not know DuckDB's `using key`
joined as (
    {{ joined_since('edges', 'ranked') }} -- noqa: PRS
)

select
    ranked.user_id as merged_user_id,
    ranked.canonical_id as user_id,
    joined.joined_at as merged_at
from ranked
inner join joined on ranked.user_id = joined.user_id
where ranked.user_id <> ranked.canonical_id
