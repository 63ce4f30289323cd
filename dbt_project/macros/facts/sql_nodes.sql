{#- The tree that DuckDB's own parser makes of `sql`, as a select of its objects (fullkey, value), each with the ephemeral
    model that it is in (within; empty if it is in none). -#}
{%- macro sql_nodes(sql) -%}
    with trees as materialized (
        select json_serialize_sql({{ quoted(sql) }}) as tree
    ),

    -- apart, because the tree would be read again for each of its nodes
    models as materialized (
        select
            ctes.key as place,
            regexp_extract(ctes.value ->> 'key', '^__dbt__cte__(.*)', 1) as name
        from trees
        cross join json_each(trees.tree, '$.statements[0].node.cte_map.map') as ctes
    )

    select
        nodes.fullkey,
        nodes.value,
        coalesce(models.name, '') as within
    from trees
    cross join json_tree(trees.tree) as nodes
    left join models
        on models.place = regexp_extract(
            nodes.fullkey, '^[$][.]statements\[0\][.]node[.]cte_map[.]map\[(\d+)\]', 1
        )
    where nodes.type = 'OBJECT'
{%- endmacro -%}
