{#- Refuses to add to a log of which an event would count under another name from now on, because the plan or an alias
    has come to say so: who reads either name would miss half of it. -#}
{%- macro check_names(aliases, planned) -%}
    {%- set find -%}
        with known_events as (
            {{ known_events(aliases, planned) }}
        ),

        names as (
            select distinct event from {{ this }} where event is not null
        )

        select
            names.event as there,
            known_events.event as called
        from names
        inner join known_events on {{ event_key('names.event') }} = known_events.event_key
        where names.event <> known_events.event
        order by names.event
        limit 1
    {%- endset -%}
    {%- for there, called in (run_query(find).rows if execute else []) -%}
        {%- do exceptions.raise_compiler_error(
            this ~ " has events by the name " ~ there ~ ", which the tracking plan or an alias now calls " ~ called
            ~ "; run once: tailrace build --full-refresh"
        ) -%}
    {%- endfor -%}
{%- endmacro -%}
