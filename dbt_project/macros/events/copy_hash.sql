{#- A 64-bit number made of all that a row of event_log says, of which event, and whose it is. -#}
{%- macro copy_hash() -%}
    {{- return(adapter.dispatch('copy_hash', 'tailrace')()) -}}
{%- endmacro -%}

{%- macro duckdb__copy_hash() -%}
    hash(event_id, content_hash, user_id)
{%- endmacro -%}
