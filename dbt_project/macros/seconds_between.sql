{#- Elapsed seconds from one instant to another (double). -#}
{%- macro seconds_between(earlier, later) -%}
    {{- return(adapter.dispatch('seconds_between', 'tailrace')(earlier, later)) -}}
{%- endmacro -%}

{%- macro duckdb__seconds_between(earlier, later) -%}
    (epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1000000.0
{%- endmacro -%}
