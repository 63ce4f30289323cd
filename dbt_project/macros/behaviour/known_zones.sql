{#- A select of (name): the time zones that the engine knows. -#}
{%- macro known_zones() -%}
    {{- return(adapter.dispatch('known_zones', 'tailrace')()) -}}
{%- endmacro -%}

{%- macro duckdb__known_zones() -%}
    select name from pg_timezone_names()
{%- endmacro -%}
