{#- Aggregate: the distinct values of a text column, sorted, as a JSON array ([] if there are none). -#}
{%- macro json_sorted_list(column) -%}
    {{- return(adapter.dispatch('json_sorted_list', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__json_sorted_list(column) -%}
    to_json(
        coalesce(
            list_sort(list(distinct {{ column }}) filter (where {{ column }} is not null)),
            cast([] as varchar [])
        )
    )
{%- endmacro -%}
