{#- Aggregate: the sum of a property (decimal); null if no event has a number in it. Arguments: see counted_event. -#}
{%- macro event_sum(event, property) -%}
    sum({{ event_amount(event, property, **kwargs) }})
{%- endmacro -%}
