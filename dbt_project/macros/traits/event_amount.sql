{#- The number in a property where the row counts (see counted_event), else null: json_amount, a decimal. -#}
{%- macro event_amount(event, property) -%}
    case when {{ counted_event(event, **kwargs) }} then {{ json_amount('properties', property) }} end
{%- endmacro -%}
