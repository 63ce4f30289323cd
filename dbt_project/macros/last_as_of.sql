{#- The as-of of the last build that is recorded, as 'YYYY-MM-DD HH:MM:SS'; none if there is none. -#}
{%- macro last_as_of() -%}
    {%- set builds = adapter.get_relation(target.database, 'tailrace', 'builds') -%}
    {%- if builds is none -%}
        {{- return(none) -}}
    {%- endif -%}
    {%- set find = "select left(cast(arg_max(as_of, finished_at) as varchar), 19) from " ~ builds -%}
    {{- return(run_query(find).columns[0].values()[0]) -}}
{%- endmacro -%}
