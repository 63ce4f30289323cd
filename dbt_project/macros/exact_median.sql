{#- Aggregate: the exact median (double); of an even number of values the mean of the two in the middle. -#}
{%- macro exact_median(column) -%}
    {{- return(adapter.dispatch('exact_median', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__exact_median(column) -%}
    quantile_cont({{ column }}, 0.5)
{%- endmacro -%}
