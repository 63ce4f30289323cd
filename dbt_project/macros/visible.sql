{#- Whether a raw row is known at the as-of; `visibility` decides by which of its two times. -#}
{%- macro visible(occurred_at='occurred_at', received_at='received_at') -%}
    {%- set columns = {'occurred': occurred_at, 'received': received_at} -%}
    {%- if var('visibility') not in columns -%}
        {%- do exceptions.raise_compiler_error(
            "var visibility is '" ~ var('visibility') ~ "'; accepted: occurred, received"
        ) -%}
    {%- endif -%}
    {{ columns[var('visibility')] }} <= {{ as_of() }}
{%- endmacro -%}
