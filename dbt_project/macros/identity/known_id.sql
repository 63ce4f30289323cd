{#- An id without the blanks around it; null if it is empty or one that var identity_blocked lists, in any case.

    Such an id is what a client sends that knows none: it would make one user of all who have it. Segment proposes to
    block zeroes and dashes, -1, null and anonymous
    (https://segment.com/docs/unify/identity-resolution/identity-resolution-settings/#blocked-values); PostHog refuses
    to merge guest, undefined, nan, none and [object object], too. -#}
{%- macro known_id(column) -%}
    case when {{ blocked_id(column) }} then null else trim({{ column }}) end
{%- endmacro -%}

{#- Whether a text is empty or such an id; false for null. -#}
{%- macro blocked_id(column) -%}
    {%- set blocked = [quoted('')] -%}
    {%- for value in identity_blocked() -%}
        {%- do blocked.append('lower(' ~ quoted(value | trim) ~ ')') -%}
    {%- endfor -%}
    {{- return(is_one_of('lower(trim(' ~ column ~ '))', blocked)) -}}
{%- endmacro -%}

{#- The var identity_blocked; null is none. -#}
{%- macro identity_blocked() -%}
    {%- set given = var('identity_blocked', none) -%}
    {%- set blocked = [] if given is none else given -%}
    {%- set is_list = blocked is iterable and blocked is not string and blocked is not mapping -%}
    {%- if not is_list or blocked | reject('string') | list -%}
        {%- do exceptions.raise_compiler_error(
            "var identity_blocked is " ~ tojson(given, default=given) ~ "; accepted: a list of texts, such as"
            ~ " ['null', '-1'], where the quotes keep YAML from reading something else"
        ) -%}
    {%- endif -%}
    {{- return(blocked) -}}
{%- endmacro -%}
