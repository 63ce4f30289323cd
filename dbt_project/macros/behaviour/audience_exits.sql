{#- When each user last left an audience, at the as-of or before: a select of (user_id, reset_at). The exits are those
    of the evaluated points, live or filled in, so that a past day gets the answer it had. -#}
{%- macro audience_exits(audience) -%}
    {%- do given_argument('audience', audience, 'the name of one') -%}
    {%- if audience is not string -%}
        {%- do exceptions.raise_compiler_error(
            "the audience is " ~ (audience | tojson) ~ "; accepted: the name of one"
        ) -%}
    {%- endif -%}
    {%- do check_audience(audience) -%}
    select
        user_id,
        max(exited_at) as reset_at
    from {{ source('tailrace', 'membership_intervals') }}
    where audience = {{ quoted(audience) }} and exited_at <= {{ as_of() }}
    group by user_id
{%- endmacro -%}

{#- Refuses what is no model in a folder named audiences: nobody would ever have left it. -#}
{%- macro check_audience(audience) -%}
    {%- set names = [] -%}
    {%- for node in (graph.nodes.values() if execute else []) if node.resource_type == 'model'
        and 'audiences' in node.fqn[1:-1] -%}
        {%- do names.append(node.name) -%}
    {%- endfor -%}
    {%- if execute and audience not in names -%}
        {%- do exceptions.raise_compiler_error(
            "there is no audience " ~ audience ~ "; accepted: " ~ names | sort | join(', ')
        ) -%}
    {%- endif -%}
{%- endmacro -%}
