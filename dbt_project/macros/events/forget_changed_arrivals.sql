{#- Before an incremental build: takes the hours of arrival that have changed out of the model's table; the build
    reads them once more, in the same transaction. -#}
{%- macro forget_changed_arrivals() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where arrived_in in (select arrived_in from {{ changed_arrivals() }})
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro -%}
