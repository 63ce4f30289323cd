{#- When each user last left an audience, at the as-of or before: a select of (user_id, reset_at). The exits are those
    of the evaluated points, live or filled in, so that a past day gets the answer it had. -#}
{%- macro audience_exits(audience) -%}
    {%- if audience is not string -%}
        {%- do exceptions.raise_compiler_error(
            "audience_exits: the audience is " ~ audience ~ "; accepted: the name of one"
        ) -%}
    {%- endif -%}
    select
        user_id,
        max(exited_at) as reset_at
    from {{ source('tailrace', 'membership_intervals') }}
    where audience = {{ quoted(audience) }} and exited_at <= {{ as_of() }}
    group by user_id
{%- endmacro -%}
