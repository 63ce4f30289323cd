with identifies as (select * from {{ ref('identifies_as_of') }}),

aliases as (select * from {{ ref('aliases_as_of') }}),

claims as (
    select
        'alias' as id_type,
        previous_id as id_value,
        user_id,
        occurred_at,
        received_at,
        row_id
    from aliases
    where previous_id <> user_id
    union all
    select
        'anonymous_id' as id_type,
        anonymous_id as id_value,
        user_id,
        occurred_at,
        received_at,
        row_id
    from identifies
    where anonymous_id is not null
    union all
    select
        'email' as id_type,
        email as id_value,
        user_id,
        occurred_at,
        received_at,
        row_id
    from identifies
    where email is not null
),

-- most values are of one user, and tie nobody: they need not be put in order
shared as (
    select
        id_type,
        id_value
    from claims
    group by id_type, id_value
    having id_type = 'alias' or min(user_id) <> max(user_id)
),

-- in the order in which they came to be known, so that a claim that comes later counts as later
first_claims as (
    select
        claims.id_type,
        claims.id_value,
        claims.user_id,
        min({{ known_at('claims.occurred_at', 'claims.received_at') }}) as known_at,
        min((
            {{ known_at('claims.occurred_at', 'claims.received_at') }},
            claims.occurred_at,
            claims.received_at,
            claims.row_id
        )) as claimed
    from claims
    inner join shared on claims.id_type = shared.id_type and claims.id_value = shared.id_value
    group by claims.id_type, claims.id_value, claims.user_id
),

ranked as (
    select
        id_type,
        id_value,
        user_id,
        known_at,
        row_number() over (
            partition by id_type, id_value order by claimed, user_id
        ) as user_number,
        first_value(user_id) over (
            partition by id_type, id_value order by claimed, user_id
        ) as first_user_id,
        first_value(known_at) over (
            partition by id_type, id_value order by claimed, user_id
        ) as first_known_at
    from first_claims
),

-- an alias ties the previous id itself; what users share ties them to the first of them
tied as (
    select
        id_type,
        id_value,
        case when id_type = 'alias' then id_value else first_user_id end as left_id,
        user_id as right_id,
        case
            when id_type = 'alias' then known_at else greatest(known_at, first_known_at)
        end as known_at,
        user_number,
        {{ identity_limit('id_type') }} as most_users
    from ranked
    where id_type = 'alias' or user_number > 1
)

select
    id_type,
    id_value,
    left_id,
    right_id,
    known_at,
    user_number,
    user_number <= most_users as is_kept
from tied
