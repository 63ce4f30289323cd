{#- A UTC instant as the clocks of a zone show it; the zone is an expression, by default var time_zone. An instant
    has one local time everywhere, while a local time may be two instants or none: days and hours are always
    made in this direction. -#}
{%- macro local_time(column, zone=none) -%}
    {{- return(adapter.dispatch('local_time', 'tailrace')(column, zone or quoted(var('time_zone')))) -}}
{%- endmacro -%}

{%- macro duckdb__local_time(column, zone) -%}
    timezone({{ zone }}, timezone('UTC', {{ column }}))
{%- endmacro -%}
