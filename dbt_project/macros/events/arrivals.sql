{#- Per hour of arrival of a relation with a row_id: its number of rows and a fingerprint of their keys,
    whatever their order. `hour` is the hour as an expression. -#}
{%- macro arrivals(relation, hour) -%}
    {{- return(adapter.dispatch('arrivals', 'tailrace')(relation, hour)) -}}
{%- endmacro -%}

{%- macro duckdb__arrivals(relation, hour) -%}
    select
        {{ hour }} as arrived_in,
        count(*) as arrived_rows,
        sum({{ text_hash("coalesce(row_id, '')") }}) as fingerprint
    from {{ relation }}
    group by {{ hour }}
{%- endmacro -%}
