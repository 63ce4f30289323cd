{#- The first of these columns that says something, as text; a table without any of them has null. `columns` is as in
    raw_tables. -#}
{%- macro raw_text(columns, names) -%}
    {%- set there = [] -%}
    {%- for name in names if name in columns -%}
        {%- set column = columns[name] -%}
        {%- do there.append(column.sql if column.type == 'VARCHAR' else 'cast(' ~ column.sql ~ ' as varchar)') -%}
    {%- endfor -%}
    {{- return(first_told(there)) -}}
{%- endmacro -%}

{#- The first of these texts that is more than blanks; one alone stays as it is. -#}
{%- macro first_told(texts) -%}
    {%- if texts | length < 2 -%}
        {{- return(texts[0] if texts else 'cast(null as varchar)') -}}
    {%- endif -%}
    {%- set told = [] -%}
    {%- for text in texts -%} {%- do told.append("nullif(trim(" ~ text ~ "), '')") -%} {%- endfor -%}
    {{- return('coalesce(' ~ told | join(', ') ~ ')') -}}
{%- endmacro -%}

{#- The first of these columns that is not null, as a timestamp in UTC; a table without any of them has null. -#}
{%- macro raw_instant(columns, names) -%}
    {%- set there = [] -%}
    {%- for name in names if name in columns -%}
        {%- do there.append(as_utc(columns[name].sql, columns[name].type)) -%}
    {%- endfor -%}
    {%- if there | length < 2 -%}
        {{- return(there[0] if there else 'cast(null as timestamp)') -}}
    {%- endif -%}
    {{- return('coalesce(' ~ there | join(', ') ~ ')') -}}
{%- endmacro -%}

{#- A time of some type as a timestamp in UTC, null if it is none. Text without an offset is UTC. -#}
{%- macro as_utc(column, type) -%}
    {{- return(adapter.dispatch('as_utc', 'tailrace')(column, type)) -}}
{%- endmacro -%}

{#- A timestamp stays the bare column: by it, whole blocks of rows are skipped, as they are by no other type. A cast of
    text to timestamp would drop an offset. -#}
{%- macro duckdb__as_utc(column, type) -%}
    {%- if type == 'TIMESTAMP' -%} {{- return(column) -}} {%- endif -%}
    {%- if type == 'TIMESTAMP WITH TIME ZONE' -%} {{- return(column ~ " at time zone 'UTC'") -}} {%- endif -%}
    {%- if type in ('VARCHAR', 'JSON') -%}
        {{- return("try_cast(" ~ column ~ " as timestamptz) at time zone 'UTC'") -}}
    {%- endif -%}
    {{- return('try_cast(' ~ column ~ ' as timestamp)') -}}
{%- endmacro -%}

{#- A JSON object of columns, {key: column as in raw_tables}; what is null is left out. -#}
{%- macro raw_object(keyed) -%}
    {{- return(adapter.dispatch('raw_object', 'tailrace')(keyed)) -}}
{%- endmacro -%}

{#- Joined as text: json_object keeps nulls. JSON has no number that is not finite. -#}
{%- macro duckdb__raw_object(keyed) -%}
    {%- set members = [] -%}
    {%- for key, column in keyed.items() -%}
        {%- set value = 'to_json(' ~ column.sql ~ ')' -%}
        {%- if column.type in ('DOUBLE', 'FLOAT') -%}
            {%- set value = 'case when isfinite(' ~ column.sql ~ ') then ' ~ value ~ ' end' -%}
        {%- endif -%}
        {%- do members.append('{} || ({})'.format(quoted(tojson(key) ~ ':'), value)) -%}
    {%- endfor -%}
    {%- if not members -%} {{- return("cast('{}' as json)") -}} {%- endif -%}
    {{- return("cast('{' || concat_ws(',', " ~ members | join(', ') ~ ") || '}' as json)") -}}
{%- endmacro -%}

{#- What an event is called here: the collector's name, or what var event_names makes of it. -#}
{%- macro renamed_event(name) -%}
    {%- set names = var('event_names', none) or {} -%}
    {%- if names is not mapping -%}
        {%- do exceptions.raise_compiler_error(
            "var event_names is '" ~ names ~ "'; accepted: {the collector's name: ours}"
        ) -%}
    {%- endif -%}
    {%- if not names -%} {{- return(name) -}} {%- endif -%}
    {%- set cases = [] -%}
    {%- for theirs, ours in names.items() -%}
        {%- do cases.append('when ' ~ quoted(theirs) ~ ' then ' ~ quoted(ours)) -%}
    {%- endfor -%}
    {{- return('case ' ~ name ~ ' ' ~ cases | join(' ') ~ ' else ' ~ name ~ ' end') -}}
{%- endmacro -%}
