{#- Whether a row of event_log that is of somebody counts: it has a key, says what happened and when, and the tracking
    plan lets it pass. -#}
{%- macro counts_as_event() -%}
    not is_blocked and row_id is not null and event is not null and occurred_at is not null
{%- endmacro -%}
