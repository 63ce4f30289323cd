{#- Aggregate: how many different texts a property has; absent, null and empty are none. Arguments: see
    counted_event. -#}
{%- macro unique_count(event, property) -%}
    count(distinct {{ event_text(event, property, **kwargs) }})
{%- endmacro -%}
