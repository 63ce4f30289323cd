{#- A digest of what decides what a raw row becomes in event_log: vars, and whether the dbt target blocks. -#}
{%- macro made_with() -%}
    {%- set given = [] -%}
    {%- for name in ('layout', 'raw_schema', 'raw_database', 'event_tables', 'event_names', 'snowplow_identify',
                     'snowplow_devices', 'identity_blocked') -%}
        {%- do given.append(var(name, none)) -%}
    {%- endfor -%}
    {%- do given.append(target.name in (var('tracking_plan_blocks', none) or [])) -%}
    {{- return(local_md5(tojson(given, sort_keys=true))) -}}
{%- endmacro -%}

{#- After a build of event_log: notes, as the comment of the table, with which vars its rows were made. -#}
{%- macro note_made_with() -%}
    {{- return(adapter.dispatch('note_made_with', 'tailrace')()) -}}
{%- endmacro -%}

{%- macro duckdb__note_made_with() -%}
    comment on table {{ this }} is 'made with {{ made_with() }}'
{%- endmacro -%}

{#- Refuses to add to rows that were made with other vars: what has been read would stay as it was. -#}
{%- macro check_made_with() -%}
    {%- if execute -%}
        {{- adapter.dispatch('check_made_with', 'tailrace')() -}}
    {%- endif -%}
{%- endmacro -%}

{%- macro duckdb__check_made_with() -%}
    {%- set find -%}
        select comment from duckdb_tables()
        where
            database_name = '{{ this.database }}'
            and schema_name = '{{ this.schema }}'
            and table_name = '{{ this.identifier }}'
            and comment like 'made with %'
    {%- endset -%}
    {%- for (comment,) in run_query(find).rows if comment != 'made with ' ~ made_with() -%}
        {%- do exceptions.raise_compiler_error(
            this ~ " was made with another value of the var layout, raw_schema, raw_database, event_tables,"
            ~ " event_names, snowplow_identify, snowplow_devices, identity_blocked or tracking_plan_blocks, or for"
            ~ " another dbt target; run once: tailrace build --full-refresh"
        ) -%}
    {%- endfor -%}
{%- endmacro -%}
