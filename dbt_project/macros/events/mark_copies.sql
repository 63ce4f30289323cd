{#- After a build of event_log: an event of which another copy has arrived is marked, too. -#}
{%- macro mark_copies() -%}
    {%- set event_hash = text_hash('event_id') -%}
    update {{ this }} set has_copies = true
    where
        not has_copies
        and {{ event_hash }} in (
            select {{ event_hash }} from {{ this }} where has_copies
        )
{%- endmacro -%}
