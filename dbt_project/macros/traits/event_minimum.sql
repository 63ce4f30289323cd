{#- Aggregate: the least number in a property (decimal); null if no event has one. Arguments: see counted_event. -#}
{%- macro event_minimum(event, property) -%}
    min({{ event_amount(event, property, **kwargs) }})
{%- endmacro -%}
