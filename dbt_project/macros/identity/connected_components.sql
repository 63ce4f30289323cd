{#- Who belongs together: a select of (id, component) with one row per id of `pairs` (left_id, right_id: texts, in
    any order, repeated or not); component is the smallest id of all that hang together with it through any number
    of pairs.

    In each round an id joins the one among itself and its neighbours that comes first in an order drawn anew (a
    hash salted with the round), and what has joined counts as one id from then on. About half of the ids go in a
    round whatever the shape, so that a chain of a million ids takes some twenty rounds, over ever fewer rows.
    Source: Bögeholz, Brand, Todor, "In-database connected component analysis" (ICDE 2020). -#}
{%- macro connected_components(pairs) -%}
    {{- return(adapter.dispatch('connected_components', 'tailrace')(pairs)) -}}
{%- endmacro -%}

{#- What is materialized is so in order that two joins do not become one over a condition that every pair of rows
    meets. -#}
{%- macro duckdb__connected_components(pairs) -%}
    with recursive ids as materialized (
        select
            id,
            row_number() over (order by id) as number
        from (
            select left_id as id from {{ pairs }}
            union
            select right_id as id from {{ pairs }}
        ) as both_sides
    ),

    half_numbered as materialized (
        select
            ids.number as one,
            pairs.right_id
        from {{ pairs }} as pairs
        inner join ids on pairs.left_id = ids.id
    ),

    numbered as materialized (
        select
            half_numbered.one,
            ids.number as other
        from half_numbered
        inner join ids on half_numbered.right_id = ids.id
        where half_numbered.one <> ids.number
    ),

    -- the links at the beginning of a round, and whom each id has joined in it
    rounds(round, one, other, is_link) as (
        select 1, one, other, true from numbered
        union
        select 1, other, one, true from numbered
        union all
        (
            with links as (select * from rounds where is_link),

            joined as materialized (
                select
                    round,
                    one,
                    {{ first_drawn('one', 'other', 'round') }} as other
                from links
                group by round, one
            ),

            half_joined as materialized (
                select
                    joined.other as one,
                    links.other
                from links
                inner join joined on links.one = joined.one
            ),

            rest as (
                select distinct
                    half_joined.one,
                    joined.other
                from half_joined
                inner join joined on half_joined.other = joined.one
                where half_joined.one <> joined.other
            )

            select round, one, other, false from joined
            union all
            select (select max(round) from joined) + 1, one, other, true from rest
        )
    ),

    joined as materialized (
        select round, one, other from rounds where not is_link
    ),

    -- from the last round to the first: whom an id has joined in the end
    places(round, number, place) as (
        select round, one, other from joined
        where round = (select max(round) from joined)
        union all
        select joined.round, joined.one, coalesce(places.place, joined.other)
        from joined
        left join places on joined.other = places.number
        where joined.round = (select max(round) from places) - 1
    ),

    placed as (
        select
            ids.id,
            coalesce(places.place, ids.number) as place
        from ids
        left join places on ids.number = places.number and places.round = 1
    )

    select
        id,
        min(id) over (partition by place) as component
    from placed
{%- endmacro -%}

{#- Aggregate: of a number and its neighbours the one that comes first in the order drawn for a round. -#}
{%- macro first_drawn(own, other, round) -%}
    case
        when min(hash({{ other }}, {{ round }})) < hash({{ own }}, {{ round }})
            then arg_min({{ other }}, hash({{ other }}, {{ round }}))
        else {{ own }}
    end
{%- endmacro -%}
