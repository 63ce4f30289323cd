{#- The names that mean a known event, as a select of (event_key, event): the keys of planned events and of aliases,
    which go first, with the name under which the event counts. An alias of a planned event counts under the name it
    has in the plan, whatever its spelling in the other seed. An error if an alias is given twice, for two events.

    `aliases` are rows of event_aliases with alias_key and event_key, `planned` is what planned_events returns. -#}
{%- macro known_events(aliases, planned) -%}
    {%- set names = {} -%}
    {%- for one in planned -%}
        {%- do names.update({one['event_key']: one['event']}) -%}
    {%- endfor -%}
    {%- set others = {} -%}
    {%- for row in aliases -%}
        {%- set event = names.get(row['event_key'], row['event']) -%}
        {%- if others.get(row['alias_key'], event) != event -%}
            {%- do exceptions.raise_compiler_error(
                "seeds/event_aliases.csv says that " ~ row['alias'] ~ " is " ~ others[row['alias_key']] ~ ", and that it"
                ~ " is " ~ event ~ " (spellings of one name are the same): leave one of the two rows"
            ) -%}
        {%- endif -%}
        {%- do others.update({row['alias_key']: event}) -%}
    {%- endfor -%}
    {%- do names.update(others) -%}
    {%- for key, name in names.items() %}
    select {{ quoted(key) }} as event_key, {{ quoted(name) }} as event
    {%- if not loop.last %} union all {% endif -%}
    {%- else %}
    select cast(null as varchar) as event_key, cast(null as varchar) as event where false
    {%- endfor -%}
{%- endmacro -%}
