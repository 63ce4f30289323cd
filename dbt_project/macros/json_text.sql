{#- The value of a top-level key of a JSON object as text; absent, null and empty are all null. -#}
{%- macro json_text(column, key) -%}
    {{- return(adapter.dispatch('json_text', 'tailrace')(column, key)) -}}
{%- endmacro -%}

{%- macro duckdb__json_text(column, key) -%}
    nullif(json_extract_string({{ column }}, '$.{{ key }}'), '')
{%- endmacro -%}
