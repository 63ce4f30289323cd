{#- When a row with these two times came to be known; `visibility` decides which of the two it is. -#}
{%- macro known_at(occurred_at='occurred_at', received_at='received_at') -%}
    {%- set columns = {'occurred': occurred_at, 'received': received_at} -%}
    {%- if var('visibility') not in columns -%}
        {%- do exceptions.raise_compiler_error(
            "var visibility is '" ~ var('visibility') ~ "'; accepted: occurred, received"
        ) -%}
    {%- endif -%}
    {{- columns[var('visibility')] -}}
{%- endmacro -%}
