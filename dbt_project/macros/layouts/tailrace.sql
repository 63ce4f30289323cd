{#- The layout that `tailrace load` makes: four tables with the very columns that staging reads. They are declared as
    source raw (models/sources.yml). -#}
{%- macro tailrace_tracks() -%}
    select * from {{ source('raw', 'tracks') }}
{%- endmacro -%}

{%- macro tailrace_identifies() -%}
    select * from {{ source('raw', 'identifies') }}
{%- endmacro -%}

{%- macro tailrace_pages() -%}
    select * from {{ source('raw', 'pages') }}
{%- endmacro -%}

{%- macro tailrace_aliases() -%}
    select * from {{ source('raw', 'aliases') }}
{%- endmacro -%}
