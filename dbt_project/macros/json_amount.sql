{#- The value of a top-level key of a JSON object as an amount with six decimals, null if it is not
    a number or not below 10^12. A number may be written as a text, with blanks around it. Decimal, because a sum of
    floats depends on the order of rows. -#}
{%- macro json_amount(column, key) -%}
    {{- return(adapter.dispatch('json_amount', 'tailrace')(column, key)) -}}
{%- endmacro -%}

{%- macro duckdb__json_amount(column, key) -%}
    {#- DuckDB reads 1_000 as a number, too -#}
    try_cast(replace({{ json_text(column, key) }}, '_', ' _ ') as decimal(18, 6))
{%- endmacro -%}
