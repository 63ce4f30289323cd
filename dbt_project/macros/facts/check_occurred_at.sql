{#- Refuses SQL that calls anything but the column of the events occurred_at, and other relations with such a column:
    windows_of() goes by the name. -#}
{%- macro check_occurred_at(sql, others) -%}
    {%- for found in named_otherwise('occurred_at', sql) + united_otherwise('occurred_at', sql) -%}
        {%- do exceptions.raise_compiler_error(
            "facts that are kept look back by when an event occurred: nothing else may be called occurred_at; found: "
            ~ found ~ ". Give the other time another name, and look back on it in a model that reads user_facts"
        ) -%}
    {%- endfor -%}
    {%- for other in others -%}
        {%- for column in adapter.get_columns_in_relation(ref(other)) if column.name | lower == 'occurred_at' -%}
            {%- do exceptions.raise_compiler_error(
                model.name ~ " is kept by user, and of_users names " ~ other ~ ", which has a column occurred_at: facts"
                ~ " that are kept look back by when an event occurred. Give that column another name"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro -%}

{#- What in `sql` gets this name (in lower case) and does not have it already, in words: a list. -#}
{%- macro named_otherwise(name, sql) -%}
    {{- return(adapter.dispatch('named_otherwise', 'tailrace')(name, sql)) -}}
{%- endmacro -%}

{#- Told from the tree that DuckDB's own parser makes. A column that is called so may be read, under this alias too, be
    joined on or left out of a `*`; a text may say anything. What is no SQL is for the build to refuse. -#}
{%- macro duckdb__named_otherwise(name, sql) -%}
    {%- set find -%}
        with given as (
            select {{ quoted(sql) }} as sql
        ),

        nodes as materialized (
            select nodes.*, given.sql
            from given
            cross join json_tree(json_serialize_sql(given.sql)) as nodes
        )

        -- what has an alias has a place in the SQL, told in bytes
        select coalesce(
            case when nodes.key = 'alias' and strlen(nodes.sql) = length(nodes.sql) then nullif(regexp_extract(
                substr(nodes.sql, try_cast(around.value ->> '$.query_location' as int) + 1), '^[^,\n]*'
            ), '') end,
            'a field, or a column in a list of them'
        )
        from nodes
        inner join nodes as around on nodes.parent = around.id
        where
            lower(nodes.atom ->> '$') = '{{ name }}'
            and not coalesce(case
                when around.key = 'column_names'
                    then lower(around.value ->> '$[#-1]') = '{{ name }}'
                when nodes.key = 'alias'
                    then lower(around.value ->> '$.column_names[#-1]') = '{{ name }}'
                else nodes.key in ('text', 'column') or around.key in ('using_columns', 'exclude_list')
            end, false)
    {%- endset -%}
    {{- return(run_query(find).columns[0].values() | list) -}}
{%- endmacro -%}

{#- What a union of `sql` puts below a column of this name, as it does by place, in words: a list. -#}
{%- macro united_otherwise(name, sql) -%}
    {{- return(adapter.dispatch('united_otherwise', 'tailrace')(name, sql)) -}}
{%- endmacro -%}

{#- The first select names the columns; what a `*` stands for cannot be told. -#}
{%- macro duckdb__united_otherwise(name, sql) -%}
    {%- set find -%}
        with nodes as materialized (
            select fullkey, value
            from json_tree(json_serialize_sql({{ quoted(sql) }}))
            where type = 'OBJECT'
        ),

        unions as (
            select fullkey from nodes
            where
                value ->> 'type' in ('SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE')
                and value ->> 'setop_type' is distinct from 'UNION_BY_NAME'
        ),

        selects as (
            select
                fullkey,
                list_transform(json_extract(value, '$.select_list[*]'), lambda item: lower(
                    coalesce(nullif(item ->> '$.alias', ''), item ->> '$.column_names[#-1]', item ->> '$.type')
                )) as names
            from nodes
            where value ->> 'type' = 'SELECT_NODE'
        ),

        united as (
            select
                unions.fullkey as within,
                selects.fullkey,
                selects.names,
                coalesce(list_position(selects.names, '{{ name }}'), 0) as place
            from unions
            inner join selects
                on
                    starts_with(selects.fullkey, unions.fullkey)
                    and regexp_full_match(
                        substr(selects.fullkey, length(unions.fullkey) + 1), '([.]children\[\d+\]|[.]left|[.]right)+'
                    )
            where not list_contains(selects.names, 'star')
        ),

        firsts as (
            select
                within,
                arg_min(place, fullkey) as place
            from united
            group by within
        )

        select coalesce(nullif(united.names[firsts.place], ''), 'a value') || ' below it in a union'
        from united
        inner join firsts on united.within = firsts.within
        where firsts.place > 0 and united.place <> firsts.place
    {%- endset -%}
    {{- return(run_query(find).columns[0].values() | list) -}}
{%- endmacro -%}
