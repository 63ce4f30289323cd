with steps as (
    select * from {{ ref('events_as_of') }}
    where event in ('Onboarding Step Completed', 'Onboarding Completed')
)

select
    user_id,
    {{ event_exists('Onboarding Completed') }} as onboarding_completed,
    {{ percent_of_checklist(
        'Onboarding Step Completed', 'step_id', steps=var('onboarding_steps')
    ) }}
        as onboarding_steps_percentage
from steps
where user_id is not null
group by user_id
