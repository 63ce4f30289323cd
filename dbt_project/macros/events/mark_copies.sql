{#- After a build of event_log: an event of which another copy has arrived is marked, too. -#}
{%- macro mark_copies() -%}
    {%- if is_incremental() -%}
        update {{ this }} set has_copies = true
        where
            not has_copies
            and event_hash in (
                select event_hash from {{ this }}
                where has_copies and arrived_in in (select arrived_in from {{ changed_arrivals() }})
            )
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro -%}
