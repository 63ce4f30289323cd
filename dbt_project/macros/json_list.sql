{#- Aggregate: the texts of a column as a JSON array, in the order of another column. -#}
{%- macro json_list(column, ordered_by) -%}
    {{- return(adapter.dispatch('json_list', 'tailrace')(column, ordered_by)) -}}
{%- endmacro -%}

{%- macro duckdb__json_list(column, ordered_by) -%}
    to_json(list({{ column }} order by {{ ordered_by }}))
{%- endmacro -%}
