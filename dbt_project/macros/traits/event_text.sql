{#- The text of a property where the row counts (see counted_event), else null. Only rows that count are parsed. -#}
{%- macro event_text(event, property) -%}
    case when {{ counted_event(event, **kwargs) }} then {{ json_text('properties', property) }} end
{%- endmacro -%}
