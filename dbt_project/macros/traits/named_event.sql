{#- Whether a row is an event of this name, or of one of these names (a list). -#}
{%- macro named_event(event) -%}
    {%- do given_argument('event', event, 'the name of an event, or a list of names') -%}
    {%- set names = [event] if event is string else event -%}
    {%- if not names or names is mapping or names is not iterable or '' in names or names | reject('string') | list -%}
        {%- do exceptions.raise_compiler_error(
            "event is " ~ (event | tojson) ~ "; accepted: the name of an event, or a list of names"
        ) -%}
    {%- endif -%}
    {%- set literals = [] -%}
    {%- for name in names -%}
        {%- do literals.append(quoted(name)) -%}
    {%- endfor -%}
    {%- if literals | length == 1 -%} event = {{ literals[0] }}
    {%- else -%} event in ({{ literals | join(', ') }})
    {%- endif -%}
{%- endmacro -%}
