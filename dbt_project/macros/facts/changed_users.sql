{#- Whether so many rows can be kept that it is worth it: over half of what there is now. -#}
{%- macro mostly_same_users(existing, now) -%}
    {%- if 'fingerprint' not in adapter.get_columns_in_relation(existing) | map(attribute='name') -%}
        {{- return(false) -}}
    {%- endif -%}
    {%- set share -%}
        select count(kept.user_id) * 2 > count(*)
        from {{ now }} as now
        left join {{ existing }} as kept using (user_id, fingerprint)
    {%- endset -%}
    {{- return(run_query(share).columns[0].values()[0]) -}}
{%- endmacro -%}

{#- Makes the events of the users whose rows are made anew, as a temporary table: of their columns those that the SQL
    names, because most of the time goes into reading them. -#}
{%- macro events_of_changed_users(identifier, existing, events, now, sql) -%}
    {%- set named = [] -%}
    {%- for column in adapter.get_columns_in_relation(events) -%}
        {%- if modules.re.search('(?i)\\b' ~ modules.re.escape(column.name) ~ '\\b', sql) -%}
            {%- do named.append(column.quoted) -%}
        {%- endif -%}
    {%- endfor -%}
    create or replace temp table {{ identifier }}__events as
    select {{ named | join(', ') }}
    from {{ events }}
    where user_id in (
        select now.user_id from {{ now }} as now
        anti join {{ existing }} as kept using (user_id, fingerprint)
    )
{%- endmacro -%}
