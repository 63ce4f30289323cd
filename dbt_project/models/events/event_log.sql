{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_changed_arrivals('stg_tracks') }}",
    post_hook="{{ mark_copies() }}"
) }}

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
    {%- if is_incremental() %}
    where
        {{ arrival_hour('received_at') }} not in (select known.arrived_in from {{ this }} as known)
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
