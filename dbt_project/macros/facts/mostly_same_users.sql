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

{#- Makes the events of the users whose rows are made anew, as a temporary table. -#}
{%- macro events_of_changed_users(identifier, existing, events, now) -%}
    create or replace temp table {{ identifier }}__events as
    select * from {{ events }}
    where user_id in (
        select now.user_id from {{ now }} as now
        anti join {{ existing }} as kept using (user_id, fingerprint)
    )
{%- endmacro -%}
