{#- The tracking plan as a list of events (event, event_key, enforcement, properties: its rows), from the rows
    of the seed. -#}
{%- macro planned_events(rows) -%}
    {%- set events = {} -%}
    {%- for row in rows if not row['property'] -%}
        {%- do events.update({row['event_key']: {
            'event': row['event'],
            'event_key': row['event_key'],
            'enforcement': row['enforcement'],
            'properties': [],
        }}) -%}
    {%- endfor -%}
    {%- for row in rows if row['property'] and row['event_key'] in events -%}
        {%- do events[row['event_key']]['properties'].append(row) -%}
    {%- endfor -%}
    {{- return(events.values() | list) -}}
{%- endmacro -%}
