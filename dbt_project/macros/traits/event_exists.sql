{#- Aggregate: whether there is one of these events. Arguments: see counted_event. -#}
{%- macro event_exists(event) -%}
    ({{ event_count(event, **kwargs) }} > 0)
{%- endmacro -%}
