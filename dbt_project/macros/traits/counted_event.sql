{#- Whether a row of events_as_of counts for a trait. All trait macros take these arguments:

    event          a name, or a list of names
    days           lookback: only events in the last n x 24 hours, after as_of - n days, up to and with as_of
    calendar_days  lookback: only events of today and the n - 1 days before it, up to and with as_of, as the days
                   of var time_zone fall; a day of 23 or 25 hours is a day
    where          SQL over the row, to look at its properties; what it says is null does not count. Such as
                   where=json_text('properties', 'channel') ~ " = 'web'"
    late_hours     the late-event rule: an event that arrived more than so many hours after it happened does
                   not count; without it all count, whenever they arrived

    Without days and calendar_days, ever. -#}
{%- macro counted_event(event, days=none, calendar_days=none, where=none, late_hours=none) -%}
    {%- for name, value in {'days': days, 'calendar_days': calendar_days, 'late_hours': late_hours}.items() -%}
        {%- if value is not none -%} {%- do whole_number(name, value) -%} {%- endif -%}
    {%- endfor -%}
    {%- if days is not none and calendar_days is not none -%}
        {%- do exceptions.raise_compiler_error("days and calendar_days exclude each other; give one of them") -%}
    {%- endif -%}
    {%- if where is not none and (where is not string or not where.strip()) -%}
        {%- do exceptions.raise_compiler_error(
            "where is " ~ (where | tojson) ~ "; accepted: SQL over the row of an event, such as"
            ~ ' json_text(\'properties\', \'channel\') ~ " = \'web\'"'
        ) -%}
    {%- endif -%}
    {{ named_event(event) }}
    {%- if days is not none %} and {{ within_days('occurred_at', days) }}{% endif -%}
    {%- if calendar_days is not none %} and (
        occurred_at <= {{ as_of() }}
        and {{ local_date('occurred_at') }} > {{ local_date(as_of()) }} - {{ calendar_days }}
    ){% endif -%}
    {%- if where is not none %} and (
        {{ where }}
    ){% endif -%}
    {%- if late_hours is not none %} and received_at <= occurred_at + interval '{{ late_hours }} hours'{% endif -%}
{%- endmacro -%}
