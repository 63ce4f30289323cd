{#- Whether the events of `planned` that break the plan are kept out: those that say block, and those that say nothing
    where the dbt target is one of the var tracking_plan_blocks. An unplanned event is always kept. -#}
{%- macro is_blocked(event, violations, planned) -%}
    {%- set targets = var('tracking_plan_blocks') -%}
    {%- if targets is not iterable or targets is string or targets is mapping -%}
        {%- do exceptions.raise_compiler_error(
            "var tracking_plan_blocks is '" ~ targets ~ "'; accepted: a list of names of dbt targets"
        ) -%}
    {%- endif -%}
    {%- set usual = 'block' if target.name in targets else 'alert' -%}
    {%- set names = [] -%}
    {%- for one in planned if (one['enforcement'] or usual) == 'block' -%}
        {%- do names.append(quoted(one['event'])) -%}
    {%- endfor -%}
    {%- if names -%}
        {{ violations }} is not null and {{ is_one_of(event, names) }}
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro -%}
