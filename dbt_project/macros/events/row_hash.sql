{#- text_hash of a raw row's key, as event_log keeps it. -#}
{%- macro row_hash() -%}
    {{ text_hash("coalesce(row_id, '')") }}
{%- endmacro -%}
