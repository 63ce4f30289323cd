{#- Window function: when the user's next event of this name happens, later than the row's own; null if none does. -#}
{%- macro next_time(event) -%}
    {{- return(adapter.dispatch('next_time', 'tailrace')(event)) -}}
{%- endmacro -%}

{%- macro duckdb__next_time(event) -%}
    min(case when {{ named_event(event) }} then occurred_at end) over (
        partition by user_id
        order by occurred_at
        range between interval '1 microsecond' following and unbounded following
    )
{%- endmacro -%}
