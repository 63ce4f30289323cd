{#- A 64-bit number made of all that a row of event_log says, and whose it is. -#}
{%- macro copy_hash() -%}
    {{- return(adapter.dispatch('copy_hash', 'tailrace')()) -}}
{%- endmacro -%}

{%- macro duckdb__copy_hash() -%}
    hash(content_hash, user_id)
{%- endmacro -%}
