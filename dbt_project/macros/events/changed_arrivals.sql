{#- The name of the temporary table in which find_changed_arrivals keeps its answer for this model. -#}
{%- macro changed_arrivals() -%}
    {{ adapter.quote(this.identifier ~ '__changed') }}
{%- endmacro -%}
