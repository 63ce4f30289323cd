{#- What is wrong with an event by the tracking plan: a JSON array of objects (rule, property), as text; null if
    nothing is. `planned` is what planned_events returns, `event` is a canonical name, and `kinds` is what
    planned_kinds says of the row.

    Rules are those of JSON Schema (https://json-schema.org/draft/2020-12): required, type, enum (allowed_values) and
    pattern, of the event's own properties; a property that the plan does not name is right. Otherwise than there, a
    null counts as a property that is not there, as everywhere here, unless the plan names null among its types.
    An event that the plan does not name breaks the rule `unplanned`. -#}
{%- macro plan_violations(event, properties, kinds, planned) -%}
    {%- if not planned -%}
        cast(null as varchar)
    {%- else -%}
    case
        when {{ event }} is null then null
        {%- for one in planned %}
        {%- set checks = [] %}
        {%- for row in one['properties'] %}
        {%- set kind = kinds ~ '[' ~ loop.index ~ ']' %}
        {%- do checks.extend(property_checks(row, properties, kind)) %}
        {%- endfor %}
        when {{ event }} = {{ quoted(one['event']) }}
            then {{ listed_violations(checks) if checks else 'null' }}
        {%- endfor %}
        else '[{"rule": "unplanned", "property": ""}]'
    end
    {%- endif -%}
{%- endmacro -%}

{#- Most events break nothing: whether one does is asked before it is said what. -#}
{%- macro listed_violations(checks) -%}
    case
        when {{ checks | map(attribute='wrong') | join(' or ') }}
            then '[' || concat_ws(
                ', '
                {%- for check in checks %},
                case when {{ check['wrong'] }} then {{ quoted(check['says']) }} end
                {%- endfor %}
            ) || ']'
    end
{%- endmacro -%}
