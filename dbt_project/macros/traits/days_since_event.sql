{#- Aggregate: days of 24 hours from the latest of these events to the as-of (double), null if there is none.
    Arguments: see counted_event. -#}
{%- macro days_since_event(event) -%}
    {{ days_since(event_last_at(event, **kwargs)) }}
{%- endmacro -%}
