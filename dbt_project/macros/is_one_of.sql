{#- Whether a value is one of some expressions, usually literals; false for null. Not by `in` or list_contains, of which the
    engine may make a join that is worked out for every row, also where a `case` or an `and` has ruled it out. -#}
{%- macro is_one_of(value, literals) -%}
    {{- return(adapter.dispatch('is_one_of', 'tailrace')(value, literals)) -}}
{%- endmacro -%}

{%- macro duckdb__is_one_of(value, literals) -%}
    list_position([{{ literals | join(', ') }}], {{ value }}) is not null
{%- endmacro -%}
