{#- Aggregate: the greatest number in a property (decimal); null if no event has one. Arguments: see counted_event. -#}
{%- macro event_maximum(event, property) -%}
    max({{ event_amount(event, property, **kwargs) }})
{%- endmacro -%}
