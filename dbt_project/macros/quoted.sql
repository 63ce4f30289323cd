{#- A text as an SQL literal, whatever is in it. -#}
{%- macro quoted(text) -%}
    {{- return(dbt.string_literal(dbt.escape_single_quotes(text))) -}}
{%- endmacro -%}
