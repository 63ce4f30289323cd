{#- How the raw tables are laid out, as `layout` says. -#}
{%- macro layout() -%}
    {%- set accepted = ['tailrace', 'segment', 'rudderstack', 'snowplow'] -%}
    {%- if var('layout') not in accepted -%}
        {%- do exceptions.raise_compiler_error(
            "var layout is '" ~ var('layout') ~ "'; accepted: " ~ accepted | join(', ')
        ) -%}
    {%- endif -%}
    {{- return(var('layout')) -}}
{%- endmacro -%}

{#- SQL that has the track calls as id, message_id, user_id, anonymous_id, event (text), properties (a JSON object),
    timestamp and received_at (UTC); more columns may follow. Nothing in it is trimmed, and copies of a message are
    left in. -#}
{%- macro layout_tracks() -%}
    {{- return({
        'tailrace': tailrace_tracks,
        'segment': segment_tracks,
        'rudderstack': rudderstack_tracks,
        'snowplow': snowplow_tracks,
    }[layout()]()) -}}
{%- endmacro -%}

{#- SQL that has the identify calls as id, message_id, user_id, anonymous_id, email, phone, country, region, time_zone,
    plan (text), signup_at, timestamp and received_at (UTC), likewise. -#}
{%- macro layout_identifies() -%}
    {{- return({
        'tailrace': tailrace_identifies,
        'segment': segment_identifies,
        'rudderstack': rudderstack_identifies,
        'snowplow': snowplow_identifies,
    }[layout()]()) -}}
{%- endmacro -%}

{#- SQL that has the page views as id, message_id, user_id, anonymous_id, name, path, url, title, referrer (text),
    properties (a JSON object), timestamp and received_at (UTC), likewise. -#}
{%- macro layout_pages() -%}
    {{- return({
        'tailrace': tailrace_pages,
        'segment': segment_pages,
        'rudderstack': rudderstack_pages,
        'snowplow': snowplow_pages,
    }[layout()]()) -}}
{%- endmacro -%}
