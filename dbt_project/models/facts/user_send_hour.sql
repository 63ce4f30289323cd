with events as (
    select * from {{ ref('events_as_of') }}
    where {{ named_event('Session Started') }} and {{ within_days('occurred_at', 90) }}
),

profiles as (select * from {{ ref('user_profile') }})

{{ best_hour('events', 'Session Started', zones='profiles', as='best_send_hour') }}
