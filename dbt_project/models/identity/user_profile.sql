with identifies as (select * from {{ ref('user_identifies') }}),

-- in order once, not for each value; by all of it in the end, so that it is always the same order
numbered as (
    select
        *,
        row_number() over (
            order by
                occurred_at,
                received_at,
                row_id,
                phone,
                country,
                region,
                time_zone,
                plan,
                signup_at
        ) as call_number
    from identifies
)

select
    user_id,
    min(occurred_at) as first_identified_at,
    {{ latest('signup_at', 'call_number') }} as signup_at,
    {{ latest('phone', 'call_number') }} as phone,
    {{ latest('country', 'call_number') }} as country,
    {{ latest('region', 'call_number') }} as region,
    {{ latest('time_zone', 'call_number') }} as time_zone,
    {{ latest('plan', 'call_number') }} as plan
from numbered
group by user_id
