{#- The tree that DuckDB's own parser makes of `sql`, as a select of its objects (fullkey, value), each with the ephemeral
    model that it is in (within; empty if it is in none). -#}
{%- macro sql_nodes(sql) -%}
    select
        nodes.fullkey,
        nodes.value,
        coalesce(regexp_extract(trees.tree ->> regexp_extract(
            nodes.fullkey, '^[$][.]statements\[0\][.]node[.]cte_map[.]map\[\d+\]'
        ) || '.key', '^__dbt__cte__(.*)', 1), '') as within
    from (select json_serialize_sql({{ quoted(sql) }}) as tree) as trees
    cross join json_tree(trees.tree) as nodes
    where nodes.type = 'OBJECT'
{%- endmacro -%}
