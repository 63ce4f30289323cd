{#- Refuses SQL in which a window, a group or an aggregate holds rows of several users, or in which user_id is given to
    something else: what a user's row says would change with the rows of others, and nobody would know. What a join or a
    `limit` brings together is not looked at. -#}
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

{#- Told from the tree of DuckDB's own parser, by the name user_id. What is compared with another user_id, or reads no
    table, is about one user. -#}
{%- macro duckdb__across_users(sql) -%}
    {%- set own = '"column_names":\\[(?:"[^"]*",)*"user_id"\\]' -%}
    {%- set find -%}
        with nodes as materialized (
            {{ sql_nodes(sql) }}
        ),

        windows as (
            select
                within,
                value ->> 'function_name' as function_name,
                lower(value ->> 'partitions') as partitions
            from nodes
            where value ->> 'class' = 'WINDOW'
        ),

        selects as (
            select
                within,
                fullkey,
                list_transform(
                    json_extract(value, '$.select_list[*]'), lambda item: regexp_matches(lower(item::varchar), '{{ own }}')
                ) as are_own,
                list_transform(json_extract(value, '$.group_expressions[*]'), lambda item: lower(item::varchar)) as groups,
                coalesce(value ->> 'group_sets', '') as group_sets,
                value ->> 'aggregate_handling' = 'FORCE_AGGREGATES' as is_grouped_by_all,
                lower(concat(value ->> 'from_table', value ->> 'where_clause')) as source
            from nodes
            where value ->> 'type' = 'SELECT_NODE'
        ),

        grouped as (
            select
                within,
                list_transform(groups, lambda item: regexp_matches(item, '{{ own }}') or coalesce(
                    are_own[try_cast(json_extract_string(item, '$.literal.text') as int)], false
                )) as are_own,
                list_transform(groups, lambda item: coalesce(
                    json_extract_string(item, '$.column_names[#-1]'), json_extract_string(item, '$.literal.text'), '...'
                )) as names,
                cast(group_sets as int[][]) as group_sets
            from selects
            where len(groups) > 0
        ),

        aggregates as (
            select
                selects.within,
                called.value ->> 'function_name' as function_name
            from selects
            inner join nodes as called on starts_with(called.fullkey, selects.fullkey || '.select_list')
            where
                len(selects.groups) = 0
                and not selects.is_grouped_by_all
                and called.value ->> 'class' = 'FUNCTION'
                and called.value ->> 'function_name' in (
                    select function_name from duckdb_functions() where function_type = 'aggregate'
                )
                and not contains(substr(called.fullkey, length(selects.fullkey)), '.subquery.')
                and contains(selects.source, '"base_table"')
                and not regexp_matches(
                    selects.source, '"compare_equal"[^{}]*"left":[{][^{}]*{{ own }}[^{}]*[}],"right":[{][^{}]*{{ own }}'
                )
        ),

        found as (
            select within, function_name || '() over, without partition by user_id' as said
            from windows
            where not regexp_matches(partitions, '{{ own }}')
            union all
            select within, 'group by ' || array_to_string(names, ', ')
            from grouped
            where len(list_filter(
                group_sets, lambda one: not coalesce(list_bool_or(list_transform(one, lambda i: are_own[i + 1])), false)
            )) > 0
            union all
            select within, 'group by all, without user_id'
            from selects
            where is_grouped_by_all and not list_bool_or(are_own)
            union all
            select within, function_name || '(), without group by'
            from aggregates
            union all
            select nodes.within, 'something else called user_id'
            from nodes
            where
                lower(nodes.value ->> 'alias') = 'user_id'
                and nodes.value ->> 'class' is not null
                and list_unique(list_append(
                    regexp_extract_all(lower(nodes.value::varchar), '"column_names":\[(?:"[^"]*",)*"([^"]*)"\]', 1), 'user_id'
                )) > 1
        )

        select said || coalesce(' (in ' || nullif(within, '') || ')', '') from found
        union all
        -- a mistake in the SQL is for the engine to tell
        select 'SQL that cannot be looked into (' || (value ->> 'error_message') || '), such as a pivot without `in`'
        from nodes
        where fullkey = '$' and value ->> 'error_type' = 'not implemented'
        order by all
    {%- endset -%}
    {{- return(run_query(find).columns[0].values() | list) -}}
{%- endmacro -%}
