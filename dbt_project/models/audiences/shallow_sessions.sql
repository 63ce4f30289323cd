with users as (select * from {{ ref('user_traits') }})

select
    user_id,
    short_session_streak,
    last_session_at
from users
where short_session_streak >= 3
