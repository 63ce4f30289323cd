{#- How many whole periods of n x 24 hours lie between an instant and the as-of (bigint).

    Period 0 is (as_of - n days, as_of], period 1 the n days before it, and so on: an instant
    exactly k periods back is in period k. Instants after the as-of are not for this macro; null
    stays null. -#}
{%- macro periods_ago(column, days) -%}
    {%- if days is not integer or days < 1 -%}
        {%- do exceptions.raise_compiler_error(
            "periods_ago: days is '" ~ days ~ "'; accepted: a whole number from 1 on"
        ) -%}
    {%- endif -%}
    {{- return(adapter.dispatch('periods_ago', 'tailrace')(column, days)) -}}
{%- endmacro -%}

{%- macro duckdb__periods_ago(column, days) -%}
    ((epoch_us({{ as_of() }}) - epoch_us({{ column }})) // {{ days * 86400000000 }})
{%- endmacro -%}
