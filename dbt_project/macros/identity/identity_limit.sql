{#- How many users one identifier of a type may tie together, by the var identity_limits; 0 and 1 tie nobody,
    but an alias, which is an id itself, ties its user with 1. So it does where the var does not name it; the other
    types tie nobody then.

    Further users of the same identifier are not tied by it. That is what Segment's Unify does beyond the limit of
    an id type ("Identity Resolution Settings"): who has been merged stays so when one more turns up. -#}
{%- macro identity_limit(id_type) -%}
    {%- set types = ('alias', 'anonymous_id', 'email') -%}
    {%- set limits = var('identity_limits') -%}
    {%- for type, limit in limits.items() if type not in types or limit is not integer or limit < 0 -%}
        {%- do exceptions.raise_compiler_error(
            "var identity_limits has " ~ type ~ ": " ~ limit ~ "; accepted: alias, anonymous_id and email, each a"
            ~ " whole number from 0 on"
        ) -%}
    {%- endfor -%}
    case {{ id_type }}
        {%- for type in types %}
        when '{{ type }}' then {{ limits.get(type, 1 if type == 'alias' else 0) }}
        {%- endfor %}
    end
{%- endmacro -%}
