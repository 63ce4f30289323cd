{#- Refuses the value of an argument, of this name, that is no whole number from 1 on. -#}
{%- macro whole_number(argument, value) -%}
    {%- do given_argument(argument, value, 'a whole number from 1 on') -%}
    {%- if value is not integer or value < 1 -%}
        {%- do exceptions.raise_compiler_error(
            argument ~ " is " ~ (value | tojson) ~ "; accepted: a whole number from 1 on"
        ) -%}
    {%- endif -%}
{%- endmacro -%}
