{#- What puts the events of a user in order: by (occurred_at, received_at, row_id), so that equal times are always
    decided the same way. -#}
{%- macro moment() -%}
    {{- return(adapter.dispatch('moment', 'tailrace')()) -}}
{%- endmacro -%}

{%- macro duckdb__moment() -%}
    row(occurred_at, received_at, row_id)
{%- endmacro -%}
