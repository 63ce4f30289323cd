{#- For an incremental model over a relation of rows: compares every hour of arrival in the model's table with the
    same hour of `source`, keeps those that differ in a temporary table (arrived_in), and returns the first of them
    as a timestamp literal; none if nothing has changed.

    A change is a row that has come (however late), has gone, or has another number, which `theirs` gives in the
    source and `ours` in the model's table; `hour` is the hour of arrival in the source. A row that is changed under
    its own number is not noticed. Runs when the model is compiled for a build, on the connection of the build:
    the literal lets the engine skip what arrived before, which it could not by the temporary table. -#}
{%- macro find_changed_arrivals(source, hour, theirs, ours) -%}
    {%- if not execute -%}
        {{- return(none) -}}
    {%- endif -%}
    {%- set columns = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
    {%- for column in model.columns if column not in columns -%}
        {%- do exceptions.raise_compiler_error(
            this ~ " was made by an earlier release, without the column " ~ column
            ~ "; run once: tailrace build --full-refresh"
        ) -%}
    {%- endfor -%}
    {%- set find -%}
        create or replace temp table {{ changed_arrivals() }} as
        with there as (
            {{ arrivals(source, hour, theirs) }}
        ),

        known as (
            {{ arrivals(this, 'arrived_in', ours) }}
        )

        select coalesce(there.arrived_in, known.arrived_in) as arrived_in
        from there
        full join known on there.arrived_in = known.arrived_in
        where
            there.arrived_rows is distinct from known.arrived_rows
            or there.fingerprint is distinct from known.fingerprint
    {%- endset -%}
    {%- do run_query(find) -%}
    {#- written by the engine, because Python knows no time before the year 1 -#}
    {%- set first = "select 'timestamp ''' || min(arrived_in) || '''' from " ~ changed_arrivals() -%}
    {{- return(run_query(first).columns[0].values()[0]) -}}
{%- endmacro -%}
