{#- Aggregate over identifies: the value of the latest row that has one. Equal times are decided by
    (received_at, row_id). -#}
{%- macro latest(column) -%}
    {{- return(adapter.dispatch('latest', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__latest(column) -%}
    last({{ column }} order by occurred_at, received_at, row_id) filter (
        where {{ column }} is not null
    )
{%- endmacro -%}
