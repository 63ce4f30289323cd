{#- A 64-bit number made of a text, the same for equal texts; null for null. Two texts may share one, so it
    says what can be left out of a comparison, never what is equal. -#}
{%- macro text_hash(column) -%}
    {{- return(adapter.dispatch('text_hash', 'tailrace')(column)) -}}
{%- endmacro -%}

{%- macro duckdb__text_hash(column) -%}
    hash({{ column }})
{%- endmacro -%}
