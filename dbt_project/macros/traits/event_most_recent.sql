{#- Aggregate: the text of a property in the latest of these events that has it; equal times are decided by moment().
    Arguments: see counted_event. -#}
{%- macro event_most_recent(event, property) -%}
    {{- return(adapter.dispatch('event_most_recent', 'tailrace')(event_text(event, property, **kwargs))) -}}
{%- endmacro -%}

{%- macro duckdb__event_most_recent(value) -%}
    arg_max({{ value }}, {{ moment() }}) filter (where {{ value }} is not null)
{%- endmacro -%}
