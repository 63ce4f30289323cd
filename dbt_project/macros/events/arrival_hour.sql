{#- The hour, UTC, in which a row arrived; what has no time counts as of the year 1. Rows are read, and read
    again, by whole hours. -#}
{%- macro arrival_hour(received_at) -%}
    coalesce(date_trunc('hour', {{ received_at }}), timestamp '0001-01-01 00:00:00')
{%- endmacro -%}
