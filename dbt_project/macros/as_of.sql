{#- The instant a run answers for, as a UTC timestamp literal: the only clock in this project.

    Passed as `--event-time-start 1970-01-01 --event-time-end 'YYYY-MM-DD HH:MM:SS'` (no re-parse),
    or as `--vars '{as_of: ...}'`. `dbt test` without one is about the last build. Where nothing is run (parse,
    compile, docs), a sentinel. -#}
{%- macro as_of() -%}
    {%- set instant = as_of_text() -%}
    {%- if instant is none and execute and flags.WHICH == 'test' -%}
        {%- set instant = last_as_of() -%}
    {%- endif -%}
    {%- if instant is none and execute and flags.WHICH in ('run', 'build') -%}
        {%- do exceptions.raise_compiler_error(
            "No as-of: say which instant to answer for, e.g. "
            ~ "dbt " ~ flags.WHICH ~ " --event-time-start 1970-01-01"
            ~ " --event-time-end '2026-01-31 00:00:00' (UTC)"
        ) -%}
    {%- endif -%}
    timestamp '{{ instant or "1970-01-01 00:00:00.271828" }}'
{%- endmacro -%}
