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
    timestamp and received_at (UTC); more columns may follow. Staging trims texts, and copies of a message are left in:
    no layout needs to do either. -#}
{%- macro layout_tracks() -%}
    {%- set chosen = layout() -%}
    {%- if chosen == 'tailrace' -%} {{- tailrace_tracks() -}}
    {%- elif chosen == 'segment' -%} {{- segment_tracks() -}}
    {%- elif chosen == 'rudderstack' -%} {{- rudderstack_tracks() -}}
    {%- elif chosen == 'snowplow' -%} {{- snowplow_tracks() -}}
    {%- endif -%}
{%- endmacro -%}

{#- SQL that has the identify calls as id, message_id, user_id, anonymous_id, email, phone, country, region, time_zone,
    plan (text), signup_at, timestamp and received_at (UTC), likewise. -#}
{%- macro layout_identifies() -%}
    {%- set chosen = layout() -%}
    {%- if chosen == 'tailrace' -%} {{- tailrace_identifies() -}}
    {%- elif chosen == 'segment' -%} {{- segment_identifies() -}}
    {%- elif chosen == 'rudderstack' -%} {{- rudderstack_identifies() -}}
    {%- elif chosen == 'snowplow' -%} {{- snowplow_identifies() -}}
    {%- endif -%}
{%- endmacro -%}

{#- SQL that has the page views as id, message_id, user_id, anonymous_id, name, path, url, title, referrer (text),
    properties (a JSON object), timestamp and received_at (UTC), likewise. -#}
{%- macro layout_pages() -%}
    {%- set chosen = layout() -%}
    {%- if chosen == 'tailrace' -%} {{- tailrace_pages() -}}
    {%- elif chosen == 'segment' -%} {{- segment_pages() -}}
    {%- elif chosen == 'rudderstack' -%} {{- rudderstack_pages() -}}
    {%- elif chosen == 'snowplow' -%} {{- snowplow_pages() -}}
    {%- endif -%}
{%- endmacro -%}

{#- SQL that has the alias calls as id, message_id, previous_id, user_id (text), timestamp and received_at (UTC),
    likewise. Snowplow has no such call. -#}
{%- macro layout_aliases() -%}
    {%- set chosen = layout() -%}
    {%- if chosen == 'tailrace' -%} {{- tailrace_aliases() -}}
    {%- elif chosen == 'segment' -%} {{- segment_aliases() -}}
    {%- elif chosen == 'rudderstack' -%} {{- rudderstack_aliases() -}}
    {%- elif chosen == 'snowplow' -%} {{- snowplow_aliases() -}}
    {%- endif -%}
{%- endmacro -%}
