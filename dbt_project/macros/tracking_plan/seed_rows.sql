{#- The rows of a seed, as a list of dicts of texts, at the time a model is compiled; empty if the seed has not been
    loaded. An empty cell is an empty text, and rows come in the order of their cells. `keyed` names columns with
    names of events: a column c has its keys in c_key. -#}
{%- macro seed_rows(seed, keyed=()) -%}
    {%- set rows = [] -%}
    {%- set table = adapter.get_relation(seed.database, seed.schema, seed.identifier) if execute else none -%}
    {%- if table is not none -%}
        {%- set find -%}
            select
                *
                {%- for column in keyed %},
                {{ event_key(column) }} as {{ column }}_key
                {%- endfor %}
            from {{ table }}
            order by all
        {%- endset -%}
        {%- set found = run_query(find) -%}
        {%- for values in found.rows -%}
            {%- set row = {} -%}
            {%- for name in found.column_names -%}
                {%- do row.update({name: '' if values[loop.index0] is none else values[loop.index0] | string}) -%}
            {%- endfor -%}
            {%- do rows.append(row) -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(rows) -}}
{%- endmacro -%}
