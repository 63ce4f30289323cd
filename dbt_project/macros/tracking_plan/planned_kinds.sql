{#- The types of an event's own planned properties, in the order of the plan, as json_kinds tells them; null for an event
    of which nothing is planned. A key costs time whether or not it is there, so nobody else's are asked for. -#}
{%- macro planned_kinds(event, properties, planned) -%}
    case {{ event }}
        {%- for one in planned if one['properties'] %}
        when {{ quoted(one['event']) }}
            then {{ json_kinds(properties, one['properties'] | map(attribute='property') | list) }}
        {%- endfor %}
        {#- so that it is a case of something where nothing is planned #}
        when null then {{ json_kinds(properties, []) }}
    end
{%- endmacro -%}
