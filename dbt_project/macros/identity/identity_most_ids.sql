{#- The var identity_most_ids: of how many ids one person may be made at most. -#}
{%- macro identity_most_ids() -%}
    {%- set most = var('identity_most_ids') -%}
    {%- if most is not integer or most < 2 -%}
        {%- do exceptions.raise_compiler_error(
            "var identity_most_ids is '" ~ most ~ "'; accepted: a whole number from 2 on"
        ) -%}
    {%- endif -%}
    {{- return(most) -}}
{%- endmacro -%}
