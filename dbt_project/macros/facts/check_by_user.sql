{#- Refuses SQL in which a window or a group holds rows of several users: what a user's row says would change with the
    rows of others, and nobody would know. -#}
{%- macro check_by_user(sql) -%}
    {%- for found in across_users(sql) -%}
        {%- do exceptions.raise_compiler_error(
            "facts that are kept are made of each user's own rows alone: rows are grouped by user_id, and a window is"
            ~ " partitioned by it; found: " ~ found ~ ". What compares users is for a model that reads user_facts,"
            ~ " such as user_traits"
        ) -%}
    {%- endfor -%}
{%- endmacro -%}

{#- What in `sql` is made over rows of several users, in words: a list. -#}
{%- macro across_users(sql) -%}
    {{- return(adapter.dispatch('across_users', 'tailrace')(sql)) -}}
{%- endmacro -%}

{#- Told from the tree of DuckDB's own parser, by the name user_id. A group may be named by its place in the select. What
    stands in a `where` with user_id may be about one user. -#}
{%- macro duckdb__across_users(sql) -%}
    {%- set find -%}
        with nodes as materialized (
            select value
            from json_tree(json_serialize_sql({{ quoted(sql) }}))
            where type = 'OBJECT'
        ),

        windows as (
            select
                value ->> 'function_name' as function_name,
                list_transform(
                    json_extract_string(value, '$.partitions[*].column_names[#-1]'), lambda name: lower(name)
                ) as partitions
            from nodes
            where value ->> 'class' = 'WINDOW'
        ),

        selects as (
            select
                list_transform(json_extract(value, '$.select_list[*]'), lambda item: lower(
                    coalesce(nullif(item ->> '$.alias', ''), item ->> '$.column_names[#-1]', '')
                )) as names,
                list_transform(json_extract(value, '$.group_expressions[*]'), lambda item: lower(
                    coalesce(item ->> '$.column_names[#-1]', item ->> '$.literal.text', '...')
                )) as groups,
                value ->> 'aggregate_handling' = 'FORCE_AGGREGATES' as is_grouped_by_all,
                list_transform(json_extract(value, '$.select_list[*]'), lambda item:
                    case when item ->> '$.class' = 'FUNCTION' then item ->> '$.function_name' end
                ) as functions,
                value ->> '$.from_table.type' as source,
                coalesce(lower(value ->> 'where_clause'), '') as condition
            from nodes
            where value ->> 'type' = 'SELECT_NODE'
        )

        select function_name || '() over, without partition by user_id'
        from windows
        where not list_contains(partitions, 'user_id')
        union all
        select 'group by ' || array_to_string(groups, ', ')
        from selects
        where
            len(groups) > 0
            and not list_contains(groups, 'user_id')
            and not list_contains(groups, coalesce(list_position(names, 'user_id'), 0)::varchar)
        union all
        select 'group by all, without user_id'
        from selects
        where is_grouped_by_all and not list_contains(names, 'user_id')
        union all
        select array_to_string(functions, ', ') || ', without group by'
        from selects
        where
            len(groups) = 0
            and not is_grouped_by_all
            and source in ('BASE_TABLE', 'JOIN', 'SUBQUERY')
            and condition not like '%user_id%'
            and list_has_any(functions, (
                select list(distinct function_name) from duckdb_functions() where function_type = 'aggregate'
            ))
    {%- endset -%}
    {{- return(run_query(find).columns[0].values() | list) -}}
{%- endmacro -%}
