{#- Aggregate: how many of these events. Arguments: see counted_event. 0 for a user with other events only. -#}
{%- macro event_count(event) -%}
    count(*) filter (where {{ counted_event(event, **kwargs) }})
{%- endmacro -%}
