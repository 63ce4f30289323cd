{#- Per hour of arrival of a relation: its number of rows and a fingerprint of them, whatever their order.
    `hour` is the hour and `number` a number made of a row, as expressions. -#}
{%- macro arrivals(relation, hour, number) -%}
    {{- return(adapter.dispatch('arrivals', 'tailrace')(relation, hour, number)) -}}
{%- endmacro -%}

{%- macro duckdb__arrivals(relation, hour, number) -%}
    select
        {{ hour }} as arrived_in,
        count(*) as arrived_rows,
        sum({{ number }}) as fingerprint
    from {{ relation }}
    group by {{ hour }}
{%- endmacro -%}
