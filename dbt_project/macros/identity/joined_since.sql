{#- Since when each id has hung together with the one that stands for it (user_id, joined_at): of all ways through
    `edges` (left_id, right_id, known_at) the one whose latest edge is the earliest. `ids` has user_id and
    canonical_id. A way is no longer than the ids of a group, of which there are few. -#}
{%- macro joined_since(edges, ids) -%}
    {{- return(adapter.dispatch('joined_since', 'tailrace')(edges, ids)) -}}
{%- endmacro -%}

{%- macro duckdb__joined_since(edges, ids) -%}
    with recursive both_ways as (
        select left_id as from_id, right_id as to_id, min(known_at) as known_at
        from {{ edges }}
        group by left_id, right_id
        union all
        select right_id as from_id, left_id as to_id, min(known_at) as known_at
        from {{ edges }}
        group by right_id, left_id
    ),

    reached(user_id, joined_at) using key (user_id) as (
        select canonical_id, timestamp '0001-01-01 00:00:00'
        from {{ ids }}
        group by canonical_id
        union
        (
            select both_ways.to_id, min(greatest(reached.joined_at, both_ways.known_at)) as joined_at
            from reached
            inner join both_ways on reached.user_id = both_ways.from_id
            left join recurring.reached as known on both_ways.to_id = known.user_id
            where
                known.user_id is null
                or greatest(reached.joined_at, both_ways.known_at) < known.joined_at
            group by both_ways.to_id
        )
    )

    select user_id, joined_at from reached
{%- endmacro -%}
