{#- What an event's name is matched by: `session_started`, `Session Started`, `SessionStarted` and `session-started`
    have one key; marks belong to a word, because they are the vowels of many scripts.
    orchestration/tracking_plan/names.py says the same. -#}
{%- macro event_key(name) -%}
    {{- return(adapter.dispatch('event_key', 'tailrace')(name)) -}}
{%- endmacro -%}

{%- macro duckdb__event_key(name) -%}
    trim(
        regexp_replace(
            nfc_normalize(lower(
                regexp_replace(nfc_normalize({{ name }}), '([a-z0-9])([A-Z])', '\1_\2', 'g')
            )),
            '[^\pL\pM\pN]+', '_', 'g'
        ),
        '_'
    )
{%- endmacro -%}
