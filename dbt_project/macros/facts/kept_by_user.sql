{#- Materialization `kept_by_user`: a table with a row per user of which a build makes only those users' rows anew that
    are made of something else than last time. The others are kept as they are.

    The model's SQL says the whole, and is run as it is on the events of fewer users. It has to make each row of that
    user's own rows alone, out of

    events      the name of the model with the events: user_id, content_hash, linked_at, occurred_at and more
    of_users    the names of models with rows of users: user_id and more

    naming what it reads of an event, and may ask for the as-of only by the lookbacks of the trait macros. What goes
    beyond is refused, as far as it can be told from the SQL: see check_reads(), check_by_user(), check_clock(),
    check_occurred_at() and windows_of(). user_fingerprints() tells what a row is made of. The SQL itself, with all macros and vars in it, is
    part of that: after a change of it, all rows are made anew. -#}
{%- materialization kept_by_user, adapter='duckdb' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set made = make_intermediate_relation(target) -%}
    {%- set now = adapter.quote(this.identifier ~ '__now') -%}
    {%- set changed = adapter.quote(this.identifier ~ '__changed') -%}
    {%- set their_events = adapter.quote(this.identifier ~ '__events') -%}
    {%- set events = ref(config.require('events')) -%}
    {%- do check_reads([config.require('events')] + config.require('of_users')) -%}
    {%- do check_occurred_at(compiled_code, config.require('of_users')) -%}
    {%- do check_by_user(compiled_code) -%}
    {%- do check_clock(compiled_code) -%}
    {{ drop_relation_if_exists(load_cached_relation(made)) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- do run_query('create or replace temp table ' ~ now ~ ' as ' ~ user_fingerprints(
        compiled_code, events, config.require('of_users')
    )) -%}
    {%- set is_kept = existing is not none and existing.is_table and not should_full_refresh()
        and mostly_same_users(existing, now, compiled_code) -%}
    {%- if is_kept -%}
        {%- do run_query(changed_users(changed, existing, now)) -%}
        {%- do run_query(events_of_users(their_events, events, changed, compiled_code)) -%}
        {#- one statement, because it begins the transaction -#}
        {%- call statement('main') -%}
            {{ forget_users(existing, now) }};
            insert into {{ existing }} by name
            {{ with_fingerprints(compiled_code | replace(events | string, their_events), changed) }}
        {%- endcall -%}
    {%- else -%}
        {%- call statement('main') -%}
            {{ create_table_as(False, made, with_fingerprints(compiled_code, now)) }}
        {%- endcall -%}
        {{ drop_relation_if_exists(existing) }}
        {{ adapter.rename_relation(made, target) }}
    {%- endif -%}

    {%- for made_for_it in [now, changed, their_events] -%}
        {%- do run_query('drop table if exists temp.' ~ made_for_it) -%}
    {%- endfor -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do persist_docs(target, model) -%}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{%- endmaterialization -%}
