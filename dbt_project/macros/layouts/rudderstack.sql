{#- The tables that RudderStack writes to a warehouse; raw_schema is the schema of the source.
    https://www.rudderstack.com/docs/destinations/warehouse-destinations/warehouse-schema/

    They are Segment's (see segment.sql) but for this: there is a column `channel`; the address of a caller is in
    context_ip, context_request_ip and context_passed_ip; and a name that the warehouse reserves, or that begins
    with a digit, has an underscore in front, as in _from. That underscore is taken off, unless the table
    has a column of the name without it, too. What is reserved depends on the warehouse; here it is what PostgreSQL
    and BigQuery reserve. -#}
{%- macro rudderstack_tracks() -%} {{- return(event_tables_tracks(rudderstack_form())) -}} {%- endmacro -%}

{%- macro rudderstack_identifies() -%} {{- return(event_tables_identifies()) -}} {%- endmacro -%}

{%- macro rudderstack_pages() -%} {{- return(event_tables_pages(rudderstack_form())) -}} {%- endmacro -%}

{%- macro rudderstack_aliases() -%} {{- return(event_tables_aliases()) -}} {%- endmacro -%}

{%- macro rudderstack_form() -%}
    {%- set form = segment_form() -%}
    {%- do form.update({
        'common': form.common + ['channel'],
        'reserved': form.reserved + [
            'rudder_discards', 'rudder_identity_mappings', 'rudder_identity_merge_rules',
        ],
        'escaped': rudderstack_escaped(),
    }) -%}
    {{- return(form) -}}
{%- endmacro -%}

{%- macro rudderstack_escaped() -%}
    {{- return(
        'all analyse analyze and any array as asc asymmetric at authorization between binary both by case cast check '
        'collate column concurrently constraint contains create cross cube current current_catalog current_date '
        'current_role current_schema current_time current_timestamp current_user default deferrable define desc '
        'distinct do else end enum escape except exclude exists extract false fetch following for foreign freeze from '
        'full grant group grouping groups hash having if ignore ilike in initially inner intersect interval into is '
        'isnull join lateral leading left like limit localtime localtimestamp lookup merge natural new no not notnull '
        'null nulls of off offset old on only or order outer over overlaps partition placing preceding primary proto '
        'range recursive references respect returning right rollup rows select session_user set similar some struct '
        'symmetric table tablesample then to trailing treat true unbounded union unique unnest user using variadic '
        'verbose when where window with within'.split()
    ) -}}
{%- endmacro -%}
