{#- Aggregate: the mean of a property (double) over the events that have a number in it; null if none has.
    Arguments: see counted_event. -#}
{%- macro event_average(event, property) -%}
    {%- set amount = event_amount(event, property, **kwargs) -%}
    (cast(sum({{ amount }}) as double) / nullif(count({{ amount }}), 0))
{%- endmacro -%}
