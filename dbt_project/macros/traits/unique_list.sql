{#- Aggregate: the different texts of a property as a JSON array in alphabetical order (of bytes), [] if there is
    none; with `cap` only the first so many. For another order see unique_list_by_use. Arguments: see counted_event. -#}
{%- macro unique_list(event, property, cap=none) -%}
    {%- if cap is not none -%} {%- do whole_number('cap', cap) -%} {%- endif -%}
    {{ sorted_list(event_text(event, property, **kwargs), distinct=true, cap=cap) }}
{%- endmacro -%}
