{#- Per hour of arrival of a relation: its number of rows and a fingerprint of their keys, whatever their order.
    `hour` is the hour and `row_hash` the hash of a row's key, as expressions. -#}
{%- macro arrivals(relation, hour, row_hash) -%}
    {{- return(adapter.dispatch('arrivals', 'tailrace')(relation, hour, row_hash)) -}}
{%- endmacro -%}

{%- macro duckdb__arrivals(relation, hour, row_hash) -%}
    select
        {{ hour }} as arrived_in,
        count(*) as arrived_rows,
        sum({{ row_hash }}) as fingerprint
    from {{ relation }}
    group by {{ hour }}
{%- endmacro -%}
