{#- Aggregate: the texts of a column as a JSON array in alphabetical order (of bytes), without nulls; [] if there are
    none. Texts that are there twice are so in the list, unless `distinct`; with `cap` only the first so many. -#}
{%- macro sorted_list(column, distinct=false, cap=none) -%}
    {{- return(adapter.dispatch('sorted_list', 'tailrace')(column, distinct, cap)) -}}
{%- endmacro -%}

{%- macro duckdb__sorted_list(column, distinct, cap) -%}
    to_json(
        coalesce(
            list_sort(list({{ 'distinct ' if distinct }}{{ column }}) filter (where {{ column }} is not null))
            {%- if cap %}[1:{{ cap }}]{% endif %},
            cast([] as varchar [])
        )
    )
{%- endmacro -%}
