{#- Refuses SQL that says something else each time it is run, as by now() or random(), also where a macro wrote it. -#}
{%- macro check_clock(sql) -%}
    {%- for found in unsteady(sql) -%}
        {%- do exceptions.raise_compiler_error(
            "facts that are kept say the same whenever they are made: the only clock is the as-of, by the lookbacks of the"
            ~ " trait macros; found: " ~ found
        ) -%}
    {%- endfor -%}
{%- endmacro -%}

{#- What in `sql` says something else each time, in words: a list. -#}
{%- macro unsteady(sql) -%}
    {{- return(adapter.dispatch('unsteady', 'tailrace')(sql)) -}}
{%- endmacro -%}

{#- DuckDB tells of its functions whether they do; some of them are written without brackets, like a column. -#}
{%- macro duckdb__unsteady(sql) -%}
    {%- set find -%}
        with named as (
            select
                within,
                lower(coalesce(
                    value ->> 'function_name',
                    case when json_array_length(value, '$.column_names') = 1 then value ->> '$.column_names[0]' end
                )) as name,
                value ->> 'class' as class
            from ({{ sql_nodes(sql) }}) as nodes
            where value ->> 'class' in ('FUNCTION', 'COLUMN_REF')
        )

        select name || coalesce(' (in ' || nullif(within, '') || ')', '')
        from named
        where
            name in ('current_timestamp', 'current_date', 'current_time', 'localtimestamp', 'localtime')
            or class = 'FUNCTION' and name in (
                select function_name from duckdb_functions()
                where stability <> 'CONSISTENT' and function_name not in ('error', 'stats', 'vector_type')
            )
        order by all
    {%- endset -%}
    {{- return(run_query(find).columns[0].values() | list) -}}
{%- endmacro -%}
