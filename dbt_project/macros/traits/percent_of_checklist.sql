{#- Aggregate: how much of a checklist is done, 0 to 100 (double): different texts of `property` among `steps`, a
    whole number of steps. More than there are count as all. Arguments: see counted_event. -#}
{%- macro percent_of_checklist(event, property, steps) -%}
    {%- do whole_number('steps', steps) -%}
    least(100.0 * {{ unique_count(event, property, **kwargs) }} / {{ steps }}, 100.0)
{%- endmacro -%}
