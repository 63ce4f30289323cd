{#- The tables that Segment writes to a warehouse; raw_schema is the schema of the source.
    https://segment.com/docs/connections/storage/warehouses/schema/

    Read are identifies, pages, aliases and the tables of the events, each with a column per trait or property; tracks
    repeats the rows of the latter without their properties. Segment flattens nested objects (product.sku is
    product_sku), writes arrays as text, and makes a time of a property that looks like one: its properties come
    back that way. Where the tracking plan wants an array or an object, the text of one is right, and an object is
    not missed. A property that is null is absent, as is one whose name Segment reserves, or begins with
    context_.

    Of traits, address.country, address.state, timezone (else that of the context) and createdAt are read too:
    https://segment.com/docs/connections/spec/identify/ -#}
{%- macro segment_tracks() -%} {{- return(event_tables_tracks(segment_form())) -}} {%- endmacro -%}

{%- macro segment_identifies() -%} {{- return(event_tables_identifies()) -}} {%- endmacro -%}

{%- macro segment_pages() -%} {{- return(event_tables_pages(segment_form())) -}} {%- endmacro -%}

{%- macro segment_aliases() -%} {{- return(event_tables_aliases()) -}} {%- endmacro -%}

{%- macro segment_form() -%}
    {{- return({
        'common': [
            'id', 'user_id', 'anonymous_id', 'event', 'event_text',
            'timestamp', 'original_timestamp', 'sent_at', 'received_at',
            'uuid', 'uuid_ts', 'loaded_at',
        ],
        'reserved': ['tracks', 'identifies', 'pages', 'screens', 'groups', 'aliases', 'users', 'accounts'],
        'escaped': [],
    }) -}}
{%- endmacro -%}
