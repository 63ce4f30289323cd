with events as (
    select * from {{ ref('events_as_of') }}
    where {{ named_event('Session Started') }}
)

{{ interval_stats('events', 'Session Started', as='session') }}
