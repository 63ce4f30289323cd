{#- Aggregate: the different texts of a property as a JSON array in alphabetical order (of bytes), [] if there is
    none; with `cap` only the first so many. For another order see unique_list_by_use. Arguments: see counted_event. -#}
{%- macro unique_list(event, property, cap=none) -%}
    {%- if cap is not none -%} {%- do whole_number('cap', cap) -%} {%- endif -%}
    {{- return(adapter.dispatch('unique_list', 'tailrace')(event_text(event, property, **kwargs), cap)) -}}
{%- endmacro -%}

{%- macro duckdb__unique_list(value, cap) -%}
    to_json(
        coalesce(
            list_sort(list(distinct {{ value }}) filter (where {{ value }} is not null))
            {%- if cap %}[1:{{ cap }}]{% endif %},
            cast([] as varchar [])
        )
    )
{%- endmacro -%}
