{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook='{{ forget_changed_arrivals() }}',
    post_hook='{{ mark_copies() }}'
) }}

{%- set first_changed = find_changed_arrivals(ref('stg_tracks')) if is_incremental() else none %}

with tracks as (select * from {{ ref('stg_tracks') }}),

arrived as (
    select
        coalesce(message_id, row_id) as event_id,
        row_id,
        user_id,
        anonymous_id,
        event,
        properties,
        occurred_at,
        received_at,
        {{ arrival_hour('received_at') }} as arrived_in,
        {{ text_hash('coalesce(message_id, row_id)') }} as event_hash
    from tracks
    {%- if is_incremental() and first_changed is none %}
    where false
    {%- elif is_incremental() %}
    where
        -- the bare column first: by it, whole blocks of older rows are skipped
        (arrived_at >= {{ first_changed }} or arrived_at is null)
        and {{ arrival_hour('received_at') }} in (select known.arrived_in from {{ changed_arrivals() }} as known)
    {%- endif %}
),

counted as (
    select event_hash from arrived
    {%- if is_incremental() %}
    union all
    select {{ text_hash('known.event_id') }} as event_hash
    from {{ this }} as known
    where {{ text_hash('known.event_id') }} in (select arrived.event_hash from arrived)
    {%- endif %}
),

repeated as (
    select event_hash
    from counted
    group by event_hash
    having count(*) > 1
)

select
    arrived.event_id,
    arrived.row_id,
    arrived.user_id,
    arrived.anonymous_id,
    arrived.event,
    arrived.properties,
    arrived.occurred_at,
    arrived.received_at,
    arrived.arrived_in,
    repeated.event_hash is not null as has_copies
from arrived
left join repeated on arrived.event_hash = repeated.event_hash
