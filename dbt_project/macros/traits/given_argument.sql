{#- Refuses a call that leaves out an argument, of this name, that is needed. -#}
{%- macro given_argument(argument, value, accepted) -%}
    {%- if value is undefined -%}
        {%- do exceptions.raise_compiler_error(argument ~ " is not given; accepted: " ~ accepted) -%}
    {%- endif -%}
{%- endmacro -%}
