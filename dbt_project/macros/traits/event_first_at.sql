{#- Aggregate: when the first of these events happened, null if there is none. Arguments: see counted_event. -#}
{%- macro event_first_at(event) -%}
    min(occurred_at) filter (where {{ counted_event(event, **kwargs) }})
{%- endmacro -%}
