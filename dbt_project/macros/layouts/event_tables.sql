{#- What Segment and RudderStack have in common: a table per event with a column per property, and tables identifies,
    pages and aliases with a column per trait or property. A form says in what they differ:

    common    columns that are no property, besides those that begin with context_
    reserved  tables that hold no events
    escaped   names that, as a column, have an underscore in front, like those that begin with a digit; [] if none has

    `id` is the id of the message. -#}
{%- macro event_tables_tracks(form) -%}
    {%- set selects = [] -%}
    {%- for table in event_tables(form) -%}
        {%- set columns = table.columns -%}
        {%- do selects.append(event_table_rows(table, {
            'event': renamed_event(event_of_table(table)),
            'properties': raw_object(property_columns(columns, form, [])),
        })) -%}
    {%- endfor -%}
    {{- return(selects | join('\nunion all\n')) -}}
{%- endmacro -%}

{#- Whether the properties of an event are columns, which hold no array but as text, and no object. -#}
{%- macro is_flat_layout() -%}
    {{- return(layout() in ('segment', 'rudderstack')) -}}
{%- endmacro -%}

{#- What the events in a table are called: as it says itself, or else like the table. -#}
{%- macro event_of_table(table) -%}
    {%- set says = ['event_text', 'event'] -%}
    {%- if table.relation and not says | select('in', table.columns) | list -%}
        {{- return(quoted(table.relation.identifier | replace('""', '"'))) -}}
    {%- endif -%}
    {{- return(raw_text(table.columns, says)) -}}
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

{%- macro event_tables_aliases() -%}
    {%- set table = raw_tables().get('aliases', {'columns': {}}) -%}
    {{- return(event_table_rows(table, {'previous_id': raw_text(table.columns, ['previous_id'])})) -}}
{%- endmacro -%}

{#- The tables of the events, as in raw_tables: those that var event_tables lists, or all that look like one. A view
    <table>_view shows the rows of <table> once more. While nothing has happened, a table without columns. -#}
{%- macro event_tables(form) -%}
    {%- set tables = raw_tables() -%}
    {%- set listed = raw_list('event_tables') -%}
    {%- set chosen = [] -%}
    {%- for name in listed if execute -%}
        {%- do chosen.append(listed_event_table(tables, name | lower)) -%}
    {%- endfor -%}
    {%- for name, table in tables.items() if not listed -%}
        {%- set again = name.endswith('_view') and name[:-5] in tables -%}
        {%- set has_all = ['id', 'event', 'received_at'] | select('in', table.columns) | list | length == 3 -%}
        {%- if has_all and not again and name not in form.reserved -%} {%- do chosen.append(table) -%} {%- endif -%}
    {%- endfor -%}
    {%- if not chosen and 'tracks' in tables -%}
        {%- do refuse_raw(
            'has a table tracks, but none of an event: those have columns id, event and received_at'
        ) -%}
    {%- endif -%}
    {{- return(chosen or [{'columns': {}}]) -}}
{%- endmacro -%}

{%- macro listed_event_table(tables, name) -%}
    {%- if name not in tables or 'id' not in tables[name].columns -%}
        {%- do exceptions.raise_compiler_error(
            "var event_tables names '" ~ name ~ "'; accepted: tables of " ~ var('raw_schema')
            ~ " with a column id: " ~ tables.keys() | sort | join(', ')
        ) -%}
    {%- endif -%}
    {{- return(tables[name]) -}}
{%- endmacro -%}

{#- {name of the property: column}; `taken` are columns that have a column of their own in staging. -#}
{%- macro property_columns(columns, form, taken) -%}
    {%- set keyed = {} -%}
    {%- for name, column in columns.items() -%}
        {%- if name not in form.common and name not in taken and not name.startswith('context_') -%}
            {%- set bare = name[1:] -%}
            {%- set escaped = name.startswith('_') and (bare in form.escaped or bare[:1].isdigit()) -%}
            {%- set key = bare if form.escaped and escaped and bare not in columns else name -%}
            {%- do keyed.update({key: column}) -%}
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
