{#- What Segment and RudderStack have in common: a table per event with a column per property, and tables identifies and
    pages with a column per trait or property. A form says in what they differ:

    common    columns that are no property, besides those that begin with context_
    reserved  tables that hold no events
    key       macro from the name of a column to the name of its property

    `id` is the id of the message. -#}
{%- macro event_tables_tracks(form) -%}
    {%- set selects = [] -%}
    {%- for table in event_tables(form) -%}
        {%- set columns = table.columns -%}
        {%- set name = renamed_event(raw_text(columns, ['event_text', 'event'])) -%}
        {%- do selects.append(event_table_rows(table, {
            'event': name,
            'properties': raw_object(property_columns(columns, form, [])),
        })) -%}
    {%- endfor -%}
    {{- return(selects | join('\nunion all\n')) -}}
{%- endmacro -%}

{%- macro event_tables_identifies() -%}
    {%- set table = raw_tables().get('identifies', {'columns': {}}) -%}
    {%- set columns = table.columns -%}
    {{- return(event_table_rows(table, {
        'email': raw_text(columns, ['email']),
        'phone': raw_text(columns, ['phone']),
        'country': raw_text(columns, ['country', 'address_country']),
        'region': raw_text(columns, ['region', 'address_state']),
        'time_zone': raw_text(columns, ['time_zone', 'timezone', 'context_timezone']),
        'plan': raw_text(columns, ['plan']),
        'signup_at': raw_instant(columns, ['signup_at', 'created_at']),
    })) -}}
{%- endmacro -%}

{%- macro event_tables_pages(form) -%}
    {%- set table = raw_tables().get('pages', {'columns': {}}) -%}
    {%- set named = ['name', 'path', 'url', 'title', 'referrer'] -%}
    {%- set made = {} -%}
    {%- for name in named -%} {%- do made.update({name: raw_text(table.columns, [name])}) -%} {%- endfor -%}
    {%- do made.update({'properties': raw_object(property_columns(table.columns, form, named))}) -%}
    {{- return(event_table_rows(table, made)) -}}
{%- endmacro -%}

{#- The tables of events: those that var event_tables lists, or all that look like one. A view <table>_view shows
    the rows of another table once more. Without any, one without columns. -#}
{%- macro event_tables(form) -%}
    {%- set tables = raw_tables() -%}
    {%- set listed = var('event_tables', none) -%}
    {%- set chosen = [] -%}
    {%- for name in listed or [] if execute and name not in tables -%}
        {%- do exceptions.raise_compiler_error(
            "var event_tables names '" ~ name ~ "', which " ~ var('raw_schema') ~ " lacks; there are: "
            ~ tables.keys() | sort | join(', ')
        ) -%}
    {%- endfor -%}
    {%- for name, table in tables.items() -%}
        {%- set again = name.endswith('_view') and name[:-5] in tables -%}
        {%- set looks_like_one = ['id', 'event', 'received_at'] | select('in', table.columns) | list | length == 3 -%}
        {%- set found = looks_like_one and not again and name not in form.reserved -%}
        {%- if (listed is none and found) or name in (listed or []) -%} {%- do chosen.append(table) -%} {%- endif -%}
    {%- endfor -%}
    {{- return(chosen or [{'columns': {}}]) -}}
{%- endmacro -%}

{#- {name of the property: column}; `taken` are columns that have a column of their own in staging. -#}
{%- macro property_columns(columns, form, taken) -%}
    {%- set keyed = {} -%}
    {%- for name, column in columns.items() -%}
        {%- if name not in form.common and name not in taken and not name.startswith('context_') -%}
            {%- set key = form.key(name) -%}
            {%- do keyed.update({(name if key in columns else key): column}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(keyed) -}}
{%- endmacro -%}

{#- The rows of a table, with the columns that all calls have around those in `made`; no rows if it is not there. -#}
{%- macro event_table_rows(table, made) -%}
    {%- set columns = table.columns -%}
    {%- set id = raw_text(columns, ['id']) -%}
    select
        {{ id }} as id,
        {{ id }} as message_id,
        {{ raw_text(columns, ['user_id']) }} as user_id,
        {{ raw_text(columns, ['anonymous_id']) }} as anonymous_id,
        {%- for name, sql in made.items() %}
        {{ sql }} as {{ name }},
        {%- endfor %}
        {{ raw_instant(columns, ['timestamp']) }} as "timestamp",
        {{ raw_instant(columns, ['received_at']) }} as received_at
    {% if table.relation %}from {{ table.relation }}{% else %}where false{% endif %}
{%- endmacro -%}
