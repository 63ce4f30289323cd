{#- Refuses the value of an argument, of this name, that is no whole number from 1 to `most`. -#}
{%- macro whole_number(argument, value, most=1000000) -%}
    {%- set accepted = 'a whole number from 1 to ' ~ most -%}
    {%- do given_argument(argument, value, accepted) -%}
    {%- if value is not integer or value < 1 or value > most -%}
        {%- do exceptions.raise_compiler_error(
            argument ~ " is " ~ (value | tojson) ~ "; accepted: " ~ accepted
        ) -%}
    {%- endif -%}
{%- endmacro -%}
