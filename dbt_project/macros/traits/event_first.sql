{#- Aggregate: the text of a property in the first of these events that has it; equal times are decided by moment().
    Arguments: see counted_event. -#}
{%- macro event_first(event, property) -%}
    {{- return(adapter.dispatch('event_first', 'tailrace')(event_text(event, property, **kwargs))) -}}
{%- endmacro -%}

{%- macro duckdb__event_first(value) -%}
    arg_min({{ value }}, {{ moment() }}) filter (where {{ value }} is not null)
{%- endmacro -%}
