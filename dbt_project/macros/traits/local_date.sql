{#- The day on which a UTC instant falls in a zone, by default var time_zone. -#}
{%- macro local_date(column, zone=none) -%}
    {%- if zone is none and var('time_zone') == 'UTC' -%} cast({{ column }} as date)
    {%- else -%} cast({{ local_time(column, zone) }} as date)
    {%- endif -%}
{%- endmacro -%}
