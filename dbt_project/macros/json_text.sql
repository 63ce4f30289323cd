{#- The value of a top-level key of a JSON object as text; absent, null and empty are all null. The key may be any
    text: nothing in it is a path, a wildcard or an index. -#}
{%- macro json_text(column, key) -%}
    {{- return(adapter.dispatch('json_text', 'tailrace')(column, key)) -}}
{%- endmacro -%}

{#- A JSON pointer: in DuckDB's '$."key"' a * is a wildcard even between quotes. -#}
{%- macro duckdb__json_text(column, key) -%}
    {%- set pointer = '/' ~ key | string | replace('~', '~0') | replace('/', '~1') -%}
    nullif(json_extract_string({{ column }}, {{ dbt.string_literal(dbt.escape_single_quotes(pointer)) }}), '')
{%- endmacro -%}
