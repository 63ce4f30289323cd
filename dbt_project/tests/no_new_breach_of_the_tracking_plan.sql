{{ config(severity='warn') }}

with event_violations as (select * from {{ ref('event_violations') }})

select *
from event_violations
where day >= cast({{ as_of() }} as date) - 1
