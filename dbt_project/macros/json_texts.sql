{#- The texts of a JSON array, a row each; none for null and []. -#}
{%- macro json_texts(column) -%}
    {{- return(adapter.dispatch('json_texts', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__json_texts(column) -%}
    unnest(cast({{ column }} as varchar []))
{%- endmacro -%}
