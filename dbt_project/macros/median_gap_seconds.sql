{#- Aggregate: the exact median of the seconds between one instant and the next (double); null below two instants, of an
    even number of gaps the mean of the two in the middle. Nulls are left out.

    By a list of the instants of each group: DuckDB 2.0.0 writes out ten times what it reads when it first numbers rows
    by a window and then asks for a median of each of a million groups. -#}
{%- macro median_gap_seconds(column) -%}
    {{- return(adapter.dispatch('median_gap_seconds', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__median_gap_seconds(column) -%}
    {%- set instants = 'list_sort(list(' ~ column ~ ') filter (where ' ~ column ~ ' is not null))' -%}
    list_median([
        {{ seconds_between('gap[1]', 'gap[2]') }}
        for gap in list_zip({{ instants }}[:-2], {{ instants }}[2:])
    ])
{%- endmacro -%}
