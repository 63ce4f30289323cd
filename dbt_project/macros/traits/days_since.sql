{#- Elapsed time from an instant to the as-of, in decimal days of 24 hours (double). -#}
{%- macro days_since(column) -%}
    {{- return(adapter.dispatch('days_since', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__days_since(column) -%}
    ((epoch_us({{ as_of() }}) - epoch_us({{ column }})) / 86400000000.0)
{%- endmacro -%}
