{#- The names of all properties of the tracking plan, in the order in which json_kinds tells of them. -#}
{%- macro planned_keys(planned) -%}
    {%- set keys = [] -%}
    {%- for one in planned -%}
        {%- for row in one['properties'] if row['property'] not in keys -%}
            {%- do keys.append(row['property']) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(keys) -}}
{%- endmacro -%}
