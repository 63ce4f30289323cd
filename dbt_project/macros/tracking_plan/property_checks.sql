{#- The checks of one row of the tracking plan, as a list of (says, wrong): what is wrong with an event, in
    JSON, and the expression that says whether it is.
    `kind` is the type of the property's value, as json_kinds tells it. -#}
{%- macro property_checks(row, properties, kind) -%}
    {%- set key = row['property'] -%}
    {%- set types = row['type'].split('|') if row['type'] else [] -%}
    {%- set is_absent = "coalesce(" ~ kind ~ ", 'NULL') = 'NULL'" -%}
    {%- set checks = [] -%}
    {#- of an object, such a layout has the keys as properties of their own -#}
    {%- set is_taken_apart = 'object' in types and is_flat_layout() -%}
    {%- if row['required'] == 'true' and not is_taken_apart -%}
        {%- set missing = kind ~ ' is null' if 'null' in types else is_absent -%}
        {%- do checks.append({'says': tojson({'rule': 'required', 'property': key}), 'wrong': missing}) -%}
    {%- endif -%}
    {%- if types -%}
        {%- set wrong = is_of_other_types(properties, key, kind, types) -%}
        {%- do checks.append({'says': tojson({'rule': 'type', 'property': key}), 'wrong': wrong}) -%}
    {%- endif -%}
    {%- if row['allowed_values'] -%}
        {%- set wrong = is_not_allowed(properties, key, kind, allowed_values(row)) -%}
        {%- do checks.append({'says': tojson({'rule': 'allowed_values', 'property': key}), 'wrong': wrong}) -%}
    {%- endif -%}
    {%- if row['pattern'] -%}
        {%- set wrong = breaks_pattern(properties, key, kind, row['pattern']) -%}
        {%- do checks.append({'says': tojson({'rule': 'pattern', 'property': key}), 'wrong': wrong}) -%}
    {%- endif -%}
    {{- return(checks) -}}
{%- endmacro -%}

{#- The values of a cell: a JSON array, or texts with `|` between them. -#}
{%- macro allowed_values(row) -%}
    {%- set cell = row['allowed_values'] -%}
    {{- return(fromjson(cell) if cell[:1] == '[' else cell.split('|')) -}}
{%- endmacro -%}
