{#- Whether an instant lies in the last n x 24 hours: after as_of - n days, up to and with as_of. -#}
{%- macro within_days(column, days) -%}
    {%- do whole_number('days', days) -%}
    ({{ column }} > {{ as_of() }} - interval '{{ days }} days' and {{ column }} <= {{ as_of() }})
{%- endmacro -%}
