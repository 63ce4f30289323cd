{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook='{{ forget_changed_arrivals() }}'
) }}

{%- set has_copies -%}
    has_copies and (user_id is not null or anonymous_id is not null) and {{ counts_as_event() }}
{%- endset %}
{%- set first_changed = find_changed_arrivals(
    '(select * from ' ~ ref('event_log') ~ ' where ' ~ has_copies ~ ')',
    hour='arrived_in', theirs=copy_hash(), ours=copy_hash()
) if is_incremental() else none %}

{%- set has_arrived %}
    {%- if is_incremental() and first_changed is none %}
        false
    {%- elif is_incremental() %}
        -- the literal first: by it, whole blocks of older rows are skipped
        arrived_in >= {{ first_changed }}
        and arrived_in in (select known.arrived_in from {{ changed_arrivals() }} as known)
    {%- else %}
        true
    {%- endif %}
{%- endset %}

-- with the ids of the row: whose it is is asked when it is read, because that changes
select
    event_id,
    row_id,
    user_id,
    anonymous_id,
    event,
    properties,
    occurred_at,
    received_at,
    arrived_in,
    content_hash
from {{ ref('event_log') }}
where
    {{ has_copies }} and {{ has_arrived }}
