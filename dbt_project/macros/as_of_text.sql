{#- The as-of of this run as 'YYYY-MM-DD HH:MM:SS', or none if it was not given.
    A unit test states its own, whatever the run around it answers for. -#}
{%- macro as_of_text() -%}
    {%- set given = invocation_args_dict.get('event_time_end') or var('as_of', none) -%}
    {%- if model is defined and model.resource_type == 'unit_test' -%}
        {%- set given = var('as_of', given) -%}
    {%- endif -%}
    {%- set instant = '^\\d{4}-\\d\\d-\\d\\d([ T]\\d\\d:\\d\\d(:\\d\\d([.]\\d+)?)?)?(Z|[+]00:?00)?$' -%}
    {%- if given and not modules.re.match(instant, given | string) -%}
        {%- do exceptions.raise_compiler_error(
            "as_of is '" ~ given ~ "'; accepted: an instant in UTC, such as '2026-01-31 00:00:00'"
        ) -%}
    {%- endif -%}
    {{- return((given | string)[:19] | replace('T', ' ') if given else none) -}}
{%- endmacro -%}
