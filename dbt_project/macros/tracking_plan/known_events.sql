{#- The names that mean a known event, as a select of (event_key, event): the keys of planned events and of aliases,
    which go first, with the name under which the event counts. An alias of a planned event counts under the name it
    has in the plan, whatever its spelling in the other seed.

    `aliases` are rows of event_aliases with alias_key and event_key, `planned` is what planned_events returns. -#}
{%- macro known_events(aliases, planned) -%}
    {%- set names = {} -%}
    {%- for one in planned -%}
        {%- do names.update({one['event_key']: one['event']}) -%}
    {%- endfor -%}
    {%- set others = {} -%}
    {%- for row in aliases -%}
        {%- do others.update({row['alias_key']: names.get(row['event_key'], row['event'])}) -%}
    {%- endfor -%}
    {%- do names.update(others) -%}
    {%- for key, name in names.items() %}
    select {{ quoted(key) }} as event_key, {{ quoted(name) }} as event
    {%- if not loop.last %} union all {% endif -%}
    {%- else %}
    select cast(null as varchar) as event_key, cast(null as varchar) as event where false
    {%- endfor -%}
{%- endmacro -%}
