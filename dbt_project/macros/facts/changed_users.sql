{#- Whether so many rows can be kept that it is worth it: over half of what there is now. None of a table with other
    columns than `sql` makes: it is not this model's, or somebody has altered it. -#}
{%- macro mostly_same_users(existing, now, sql) -%}
    {#- alone first: within another statement the engine names tables of that one where a column is missing -#}
    {%- do run_query('describe ' ~ sql) -%}
    {%- set others -%}
        select count(*)
        from (describe {{ existing }}) as there
        full join (
            describe {{ with_fingerprints(sql, now) }}
        ) as made on there.column_name = made.column_name and there.column_type = made.column_type
        where there.column_name is null or made.column_name is null
    {%- endset -%}
    {%- if run_query(others).columns[0].values()[0] > 0 -%}
        {{- return(false) -}}
    {%- endif -%}
    {%- set share -%}
        select count(kept.user_id) * 2 > count(*)
        from {{ now }} as now
        left join {{ existing }} as kept using (user_id, fingerprint)
    {%- endset -%}
    {{- return(run_query(share).columns[0].values()[0]) -}}
{%- endmacro -%}

{#- Makes the users whose rows are made anew (user_id, fingerprint), as a temporary table. -#}
{%- macro changed_users(name, existing, now) -%}
    create or replace temp table {{ name }} as
    select now.* from {{ now }} as now
    anti join {{ existing }} as kept using (user_id, fingerprint)
{%- endmacro -%}

{#- Makes the events of these users, as a temporary table: of their columns those that the SQL names, because most of
    the time goes into reading them. -#}
{%- macro events_of_users(name, events, users, sql) -%}
    {%- set named = [] -%}
    {%- for column in adapter.get_columns_in_relation(events) -%}
        {%- if modules.re.search('(?i)\\b' ~ modules.re.escape(column.name) ~ '\\b', sql) -%}
            {%- do named.append(column.quoted) -%}
        {%- endif -%}
    {%- endfor -%}
    create or replace temp table {{ name }} as
    select {{ named | join(', ') }}
    from {{ events }}
    where user_id in (select users.user_id from {{ users }} as users)
{%- endmacro -%}

{#- Takes the rows out that are not made of the same any more. -#}
{%- macro forget_users(existing, now) -%}
    delete from {{ existing }} as kept
    where not exists (
        select 1 from {{ now }} as now
        where now.user_id = kept.user_id and now.fingerprint = kept.fingerprint
    )
{%- endmacro -%}

{#- The rows that `sql` makes of these users (user_id, fingerprint), with their fingerprint. -#}
{%- macro with_fingerprints(sql, users) -%}
    select made.*, users.fingerprint
    from (
        {{ sql }}
    ) as made
    inner join {{ users }} as users using (user_id)
{%- endmacro -%}
