with session_ends as (
    select * from {{ ref('events_as_of') }}
    where {{ named_event('Session Ended') }}
),

session_starts as (
    select * from {{ ref('events_as_of') }}
    where {{ named_event('Session Started') }}
),

resets as (select * from {{ ref('streak_resets') }}),

short_sessions as (
    {{ streak(
        'session_ends',
        'Session Ended',
        json_amount('properties', 'duration_seconds') ~ ' < 120',
        as='short_session_streak',
        resets='resets'
    ) }}
),

session_days as (
    {{ day_streak(
        'session_starts', 'Session Started', as='session_days_in_a_row', keep_ended=true
    ) }}
)

select
    coalesce(session_days.user_id, short_sessions.user_id) as user_id,
    coalesce(short_sessions.short_session_streak, 0) as short_session_streak,
    coalesce(session_days.session_days_in_a_row, 0) as session_days_in_a_row
from session_days
full join short_sessions on session_days.user_id = short_sessions.user_id
