{#- Aggregate: the value of the last row that has one, by `number`, a column that numbers the rows without ties. -#}
{%- macro latest(column, number) -%}
    {{- return(adapter.dispatch('latest', 'tailrace')(column, number)) -}}
{%- endmacro -%}

{%- macro duckdb__latest(column, number) -%}
    arg_max({{ column }}, {{ number }})
{%- endmacro -%}
