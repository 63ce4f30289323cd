{#- Aggregate: when the latest of these events happened, null if there is none. Arguments: see counted_event. -#}
{%- macro event_last_at(event) -%}
    max(occurred_at) filter (where {{ counted_event(event, **kwargs) }})
{%- endmacro -%}
