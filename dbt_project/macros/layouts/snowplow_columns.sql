{#- The table events as in raw_tables; outside of a build, there may be none: then one without columns. -#}
{%- macro snowplow_table() -%}
    {%- set tables = raw_tables() -%}
    {%- if 'events' not in tables -%} {%- do refuse_raw('has no table events') -%} {%- endif -%}
    {%- set table = tables.get('events', {'columns': {}}) -%}
    {%- for name in raw_list('snowplow_devices') if table.relation and name not in table.columns -%}
        {%- do refuse_raw("has no column '" ~ name ~ "' in events, which var snowplow_devices names") -%}
    {%- endfor -%}
    {{- return(table) -}}
{%- endmacro -%}

{#- Those of these columns that there are, {name: column}. -#}
{%- macro snowplow_columns(columns, names) -%}
    {%- set there = {} -%}
    {%- for name in names if name in columns -%} {%- do there.update({name: columns[name]}) -%} {%- endfor -%}
    {{- return(there) -}}
{%- endmacro -%}

{#- Whether an event is of this kind. -#}
{%- macro snowplow_is(columns, kind) -%}
    {{- return(raw_text(columns, ['event']) ~ " = " ~ quoted(kind)) -}}
{%- endmacro -%}

{#- What a self-describing event says: of its unstruct_event_ columns, one per kind of event and version, the one
    that is not null. -#}
{%- macro snowplow_said(columns) -%}
    {%- set said = [] -%}
    {%- for name, column in columns.items() if name.startswith('unstruct_event_') -%}
        {%- do said.append(json_without_nulls(column.sql, column.type)) -%}
    {%- endfor -%}
    {{- return('coalesce(' ~ (said + ["cast('{}' as json)"]) | join(', ') ~ ')') -}}
{%- endmacro -%}

{#- A column as JSON. A struct has all fields of its schema: those that are null were not said. -#}
{%- macro json_without_nulls(column, type) -%}
    {{- return(adapter.dispatch('json_without_nulls', 'tailrace')(column, type)) -}}
{%- endmacro -%}

{%- macro duckdb__json_without_nulls(column, type) -%}
    {%- if type == 'JSON' -%} {{- return(column) -}} {%- endif -%}
    {%- if type == 'VARCHAR' -%} {{- return('try_cast(' ~ column ~ ' as json)') -}} {%- endif -%}
    {{- return("json_merge_patch('{}', to_json(" ~ column ~ "))") -}}
{%- endmacro -%}

{#- The first of these keys, then of these columns, that says something, as text. -#}
{%- macro snowplow_trait(said, keys, columns={}) -%}
    {%- set told = [] -%}
    {%- for key in keys -%} {%- do told.append(json_text(said, key)) -%} {%- endfor -%}
    {%- for name in columns -%} {%- do told.append(raw_text(columns, [name])) -%} {%- endfor -%}
    {{- return(first_told(told)) -}}
{%- endmacro -%}

{#- The events for which `condition` holds, with the columns that all have around those in `made`; no rows if the table
    is not there. -#}
{%- macro snowplow_rows(table, made, condition) -%}
    {%- set columns = table.columns -%}
    {%- set id = raw_text(columns, ['event_id']) -%}
    select
        {{ id }} as id,
        {{ id }} as message_id,
        {{ raw_text(columns, ['user_id']) }} as user_id,
        {{ raw_text(columns, raw_list('snowplow_devices')) }} as anonymous_id,
        {%- for name, sql in made.items() %}
        {{ sql }} as {{ name }},
        {%- endfor %}
        {{ raw_instant(columns, ['derived_tstamp']) }} as "timestamp",
        {{ raw_instant(columns, ['collector_tstamp']) }} as received_at
    {% if table.relation %}from {{ table.relation }}
    where {{ condition }}{% else %}where false{% endif %}
{%- endmacro -%}
