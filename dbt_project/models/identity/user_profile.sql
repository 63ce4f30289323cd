with identifies as (select * from {{ ref('user_identifies') }})

select
    user_id,
    min(occurred_at) as first_identified_at,
    {{ latest('signup_at') }} as signup_at,
    {{ latest('phone') }} as phone,
    {{ latest('country') }} as country,
    {{ latest('region') }} as region,
    {{ latest('time_zone') }} as time_zone,
    {{ latest('plan') }} as plan
from identifies
group by user_id
