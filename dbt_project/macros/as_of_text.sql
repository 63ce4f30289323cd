{#- The as-of of this run as 'YYYY-MM-DD HH:MM:SS', or none if it was not given.
    A unit test states its own, whatever the run around it answers for. -#}
{%- macro as_of_text() -%}
    {%- set given = invocation_args_dict.get('event_time_end') or var('as_of', none) -%}
    {%- if model is defined and model.resource_type == 'unit_test' -%}
        {%- set given = var('as_of', given) -%}
    {%- endif -%}
    {{- return((given | string)[:19] | replace('T', ' ') if given else none) -}}
{%- endmacro -%}
