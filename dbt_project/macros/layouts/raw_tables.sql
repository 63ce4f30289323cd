{#- The tables and views in raw_schema: {name: {'relation': ..., 'columns': {name: {'sql': ..., 'type': ...}}}}.
    The names are in lower case; `sql` is the column as an identifier. Looked up whenever a model is compiled, so that
    a table or column is found as soon as it is there. Empty while dbt only parses. -#}
{%- macro raw_tables() -%}
    {%- set tables = {} -%}
    {%- if execute -%}
        {%- set database = var('raw_database', none) or target.database -%}
        {%- set schema = var('raw_schema') -%}
        {%- for table, column, type in raw_catalog(database, schema).rows -%}
            {%- set relation = api.Relation.create(database=database, schema=schema, identifier=table | replace('"', '""')) -%}
            {%- set found = tables.setdefault(table | lower, {'relation': relation, 'columns': {}}) -%}
            {%- do found.columns.update({column | lower: {'sql': adapter.quote(column | replace('"', '""')), 'type': type}}) -%}
        {%- endfor -%}
        {%- if not tables -%} {%- do refuse_raw('has no tables') -%} {%- endif -%}
    {%- endif -%}
    {{- return(tables) -}}
{%- endmacro -%}

{#- Fails a build, for which the raw tables cannot be used: a log that is empty by mistake would empty every audience.
    Where nothing is built (parse, compile, docs), there may be no tables. -#}
{%- macro refuse_raw(why) -%}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- do exceptions.raise_compiler_error(
            "var layout is '" ~ layout() ~ "', and schema " ~ var('raw_schema') ~ ' ' ~ why
            ~ '; vars raw_schema and raw_database say where the raw tables are'
        ) -%}
    {%- endif -%}
{%- endmacro -%}

{#- A var that is a list of names; null is none. -#}
{%- macro raw_list(name) -%}
    {%- set given = var(name, none) or [] -%}
    {%- if given is string or given is mapping or given is not iterable -%}
        {%- do exceptions.raise_compiler_error(
            "var " ~ name ~ " is '" ~ given ~ "'; accepted: a list of names, such as [one, other]"
        ) -%}
    {%- endif -%}
    {{- return(given) -}}
{%- endmacro -%}

{#- A row (table, column, type) per column of a schema, in their order. -#}
{%- macro raw_catalog(database, schema) -%}
    {{- return(adapter.dispatch('raw_catalog', 'tailrace')(database, schema)) -}}
{%- endmacro -%}

{%- macro duckdb__raw_catalog(database, schema) -%}
    {%- set find -%}
        select table_name, column_name, data_type
        from information_schema.columns
        where
            lower(table_catalog) = lower({{ quoted(database) }})
            and lower(table_schema) = lower({{ quoted(schema) }})
        order by table_name, ordinal_position
    {%- endset -%}
    {{- return(run_query(find)) -}}
{%- endmacro -%}
