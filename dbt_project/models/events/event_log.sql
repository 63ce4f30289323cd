{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook='{{ forget_changed_arrivals() }}',
    post_hook=['{{ mark_copies() }}', '{{ note_made_with() }}']
) }}

{#- row_id as stg_tracks makes it, by halves: where rows have an id, the engine reads no more -#}
{%- set keys %}
    (
        select
            id as row_id,
            received_at
        from {{ ref('stg_tracks') }}
        where id <> ''
        union all
        select
            row_id,
            received_at
        from {{ ref('stg_tracks') }}
        where id = '' or id is null
    )
{%- endset %}
{%- set first_changed = find_changed_arrivals(
    keys, hour=arrival_hour('received_at'), theirs=row_hash(), ours='row_hash'
) if is_incremental() else none %}
{%- set aliases = seed_rows(ref('event_aliases'), keyed=['alias', 'event']) %}
{%- set planned = planned_events(seed_rows(ref('tracking_plan'), keyed=['event'])) %}
{%- set has_arrived %}
    {%- if is_incremental() and first_changed is none %}
        false
    {%- elif is_incremental() %}
        -- the bare column first: by it, whole blocks of older rows are skipped
        (arrived_at >= {{ first_changed }} or arrived_at is null)
        and {{ arrival_hour('received_at') }} in (select known.arrived_in from {{ changed_arrivals() }} as known)
    {%- else %}
        true
    {%- endif %}
{%- endset %}

-- not materialized: the engine would hold, and spill, the whole log for what reads it twice
with arrived as not materialized (
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
        {{ text_hash('coalesce(message_id, row_id)') }} as event_hash,
        {{ row_hash() }} as row_hash
    from {{ ref('stg_tracks') }}
    where {{ has_arrived }}
),

counted as (
    select event_hash from arrived
    {%- if is_incremental() %}
    union all
    select known.event_hash
    from {{ this }} as known
    where known.event_hash in (select arrived.event_hash from arrived)
    {%- endif %}
),

-- by a window, which puts numbers in order: as many groups as rows would take three times as long
copies as (
    select
        event_hash,
        row_number() over (partition by event_hash) as copy_number
    from counted
),

repeated as materialized (
    select event_hash
    from copies
    where copy_number = 2
),

-- each name is looked up once; not read from `arrived`, which would have to be kept for it
names as (
    select distinct event
    from {{ ref('stg_tracks') }}
    where event is not null and {{ has_arrived }}
),

known_events as (
    {{ known_events(aliases, planned) }}
),

named as materialized (
    select
        names.event,
        coalesce(known_events.event, names.event) as canonical_event
    from names
    left join known_events on {{ event_key('names.event') }} = known_events.event_key
),

renamed as not materialized (
    select
        arrived.* replace (named.canonical_event as event),
        {{ planned_kinds('named.canonical_event', 'arrived.properties', planned) }} as kinds
    from arrived
    left join named on arrived.event = named.event
),

checked as not materialized (
    select
        * exclude (kinds),
        {{ plan_violations('event', 'properties', 'kinds', planned) }} as violations,
        {{ content_hash() }} as content_hash
    from renamed
)

-- by halves, so that events of devices lie together in the table: who asks for those of users,
-- or for those of devices, need not read blocks that have only the others
{%- for half in ('user_id is not null', 'user_id is null') %}
    select
        checked.event_id,
        checked.row_id,
        checked.user_id,
        checked.anonymous_id,
        checked.event,
        checked.properties,
        checked.occurred_at,
        checked.received_at,
        checked.arrived_in,
        checked.row_hash,
        checked.event_hash,
        checked.content_hash,
        repeated.event_hash is not null as has_copies,
        checked.violations,
        {{ is_blocked('checked.event', 'checked.violations', planned) }} as is_blocked
    from checked
    left join repeated on checked.event_hash = repeated.event_hash
    where checked.{{ half }}
    {%- if not loop.last %}
        union all
    {%- endif %}
{%- endfor %}
{%- if is_incremental() %}
    {%- do check_made_with() %}
    {%- do check_names(aliases, planned) %}
{%- endif %}
