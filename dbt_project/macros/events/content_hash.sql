{#- A 64-bit number made of all that a row of event_log says but whose it is: another one when a row is read again and
    says something else, under its own key or under another name of the event. -#}
{%- macro content_hash() -%}
    {{- return(adapter.dispatch('content_hash', 'tailrace')()) -}}
{%- endmacro -%}

{%- macro duckdb__content_hash() -%}
    hash(event_id, row_id, anonymous_id, event, properties, occurred_at, received_at)
{%- endmacro -%}
