{#- Aggregate: the texts of a column as a JSON array in alphabetical order (of bytes), without nulls; [] if there are
    none. Texts that are there twice are so in the list. -#}
{%- macro sorted_list(column) -%}
    {{- return(adapter.dispatch('sorted_list', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__sorted_list(column) -%}
    to_json(coalesce(
        list_sort(list({{ column }}) filter (where {{ column }} is not null)), cast([] as varchar [])
    ))
{%- endmacro -%}
