{#- The wide table of Snowplow, atomic.events: var raw_schema is its schema, its name is events.
    https://docs.snowplow.io/docs/fundamentals/canonical-event/
    https://docs.snowplow.io/docs/api-reference/loaders-storage-targets/schemas-in-warehouse/

    track      structured events (struct), named by se_action, whose properties are the se_ columns; and
               self-describing events (unstruct), named by event_name, whose properties are what is in their
               unstruct_event_ column, be it a JSON, a struct or text. Names have no blanks: var event_names
               makes `Order Completed` of order_completed.
    identify   self-describing events of the name that var snowplow_identify says. Traits are read in snake and in camel
               case. Where an event says no country, region or time zone, its geo_country, geo_region_name (else
               geo_region) and os_timezone count.
    page       page views (page_view). Snowplow knows the title of a page, but no name. The properties are the rest of
               its address (page_urlhost ...), and what the event says of its campaign and referrer.

    alias      none: Snowplow has no such call.

    Everything else (pings, transactions ...) is left out, and so are entities (contexts_). An event happened at
    derived_tstamp, which allows for clocks that are wrong, and arrived at collector_tstamp. The device is
    domain_userid; var snowplow_devices may list other columns, of which the first that says something counts.
    network_userid is not asked by default: of events that a server sends, it is the same for many users.

    Redshift and Postgres keep self-describing events in tables of their own: those are not read. -#}
{%- macro snowplow_tracks() -%}
    {%- set table = snowplow_table() -%}
    {%- set columns = table.columns -%}
    {%- set described = raw_text(columns, ['event_name']) -%}
    {%- set structured = snowplow_is(columns, 'struct') -%}
    {%- set action = raw_text(columns, ['se_action']) -%}
    {%- set fields = snowplow_columns(columns, ['se_category', 'se_action', 'se_label', 'se_property', 'se_value']) -%}
    {%- set name = 'case when ' ~ structured ~ ' then ' ~ action ~ ' else ' ~ described ~ ' end' -%}
    {%- set made = {
        'event': renamed_event(name),
        'properties': 'case when ' ~ structured ~ ' then ' ~ raw_object(fields)
            ~ ' else ' ~ snowplow_said(columns) ~ ' end',
    } -%}
    {%- set condition -%}
        {{ structured }} or (
            {{ snowplow_is(columns, 'unstruct') }}
            and {{ described }} is distinct from {{ quoted(var('snowplow_identify')) }}
        )
    {%- endset -%}
    {{- return(snowplow_rows(table, made, condition)) -}}
{%- endmacro -%}

{%- macro snowplow_identifies() -%}
    {%- set table = snowplow_table() -%}
    {%- set columns = table.columns -%}
    {%- set said = snowplow_said(columns) -%}
    {%- set made = {
        'email': snowplow_trait(said, ['email']),
        'phone': snowplow_trait(said, ['phone']),
        'country': snowplow_trait(said, ['country'], snowplow_columns(columns, ['geo_country'])),
        'region': snowplow_trait(
            said, ['region'], snowplow_columns(columns, ['geo_region_name', 'geo_region'])
        ),
        'time_zone': snowplow_trait(
            said, ['time_zone', 'timeZone', 'timezone'], snowplow_columns(columns, ['os_timezone'])
        ),
        'plan': snowplow_trait(said, ['plan']),
        'signup_at': as_utc(
            snowplow_trait(said, ['signup_at', 'signupAt', 'created_at', 'createdAt']), 'VARCHAR'
        ),
    } -%}
    {%- set condition -%}
        {{ snowplow_is(columns, 'unstruct') }}
        and {{ raw_text(columns, ['event_name']) }} = {{ quoted(var('snowplow_identify')) }}
    {%- endset -%}
    {{- return(snowplow_rows(table, made, condition)) -}}
{%- endmacro -%}

{%- macro snowplow_pages() -%}
    {%- set table = snowplow_table() -%}
    {%- set columns = table.columns -%}
    {%- set more = snowplow_columns(columns, [
        'page_urlhost', 'page_urlquery', 'page_urlfragment',
        'mkt_medium', 'mkt_source', 'mkt_term', 'mkt_content', 'mkt_campaign', 'mkt_clickid', 'mkt_network',
        'refr_medium', 'refr_source', 'refr_term',
    ]) -%}
    {%- set made = {
        'name': 'cast(null as varchar)',
        'path': raw_text(columns, ['page_urlpath']),
        'url': raw_text(columns, ['page_url']),
        'title': raw_text(columns, ['page_title']),
        'referrer': raw_text(columns, ['page_referrer']),
        'properties': raw_object(more),
    } -%}
    {{- return(snowplow_rows(table, made, snowplow_is(columns, 'page_view'))) -}}
{%- endmacro -%}

{%- macro snowplow_aliases() -%}
    {%- set nothing = {'relation': none, 'columns': {}} -%}
    {{- return(snowplow_rows(nothing, {'previous_id': raw_text({}, [])}, 'false')) -}}
{%- endmacro -%}
