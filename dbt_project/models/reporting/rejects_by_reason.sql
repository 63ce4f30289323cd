with rejects as (select * from {{ source('tailrace', 'rejects') }})

select
    sync,
    class,
    code,
    field,
    count(*) as rejects,
    count(case when state in ('open', 'retry') then 1 end) as open_rejects,
    min(rejected_at) as first_rejected_at,
    max(rejected_at) as last_rejected_at
from rejects
group by sync, class, code, field
