{#- The tables and views there are in raw_schema, by name: {'relation': ..., 'columns': {name: {'sql': ..., 'type': ...}}}.
    The names are in lower case; `sql` is the column as an identifier. Looked up whenever a model is compiled, so
    that a table or column is found as soon as it is there. Empty while dbt only parses. -#}
{%- macro raw_tables() -%}
    {%- set tables = {} -%}
    {%- if execute -%}
        {%- set database = var('raw_database', none) or target.database -%}
        {%- set schema = var('raw_schema') -%}
        {%- for table, column, type in raw_catalog(database, schema).rows -%}
            {%- set relation = api.Relation.create(database=database, schema=schema, identifier=table) -%}
            {%- set found = tables.setdefault(table | lower, {'relation': relation, 'columns': {}}) -%}
            {%- do found.columns.update({column | lower: {'sql': adapter.quote(column), 'type': type}}) -%}
        {%- endfor -%}
        {%- if not tables and flags.WHICH in ('run', 'build') -%}
            {%- do exceptions.raise_compiler_error(
                "var layout is '" ~ layout() ~ "', and " ~ database ~ "." ~ schema ~ " has no tables;"
                ~ " vars raw_schema and raw_database say where they are"
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {{- return(tables) -}}
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
