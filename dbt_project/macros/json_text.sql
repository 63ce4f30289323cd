{#- The value of a top-level key of a JSON object as text; absent, null and empty are all null. The key may be any
    text: nothing in it is a path, a wildcard or an index. -#}
{%- macro json_text(column, key) -%}
    {{- return(adapter.dispatch('json_text', 'tailrace')(column, key)) -}}
{%- endmacro -%}

{%- macro duckdb__json_text(column, key) -%}
    nullif(json_extract_string({{ column }}, {{ json_pointer(key) }}), '')
{%- endmacro -%}

{#- A key as a JSON pointer: in DuckDB's '$."key"' a * is a wildcard even between quotes. -#}
{%- macro json_pointer(key) -%}
    {%- do given_argument('property', key, 'its name') -%}
    {%- if key is not string -%}
        {%- do exceptions.raise_compiler_error("property is " ~ (key | tojson) ~ "; accepted: its name") -%}
    {%- endif -%}
    {{- return(quoted('/' ~ key | replace('~', '~0') | replace('/', '~1'))) -}}
{%- endmacro -%}
